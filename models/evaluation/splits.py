"""Splits by time: what is learnt from lies before what is measured."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def boundaries(starts_ms: npt.NDArray[np.int64], shares: Sequence[float]) -> tuple[int, ...]:
    """The times (ms) before which these shares of what starts at `starts_ms` started."""
    starts = np.sort(starts_ms)
    return tuple(int(starts[min(len(starts) - 1, round(share * len(starts)))]) for share in shares)
