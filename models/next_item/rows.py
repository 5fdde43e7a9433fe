"""Prefixes as a network reads them: the newest items, left-aligned, without those it does not know."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import UNKNOWN, Codes

Ints = npt.NDArray[np.int64]


def rows_of(prefixes: Sequence[Codes], length: int) -> tuple[Ints, Ints]:
    """Item codes (n, time), oldest first, and how many there are (n,).

    Of each prefix the newest `length` items that are known. Time is the largest number of them; the padding
    is 0. A prefix without a known item has none, and a row of padding.
    """
    kept = [prefix[prefix != UNKNOWN][-length:] for prefix in prefixes]
    lengths = np.array([len(prefix) for prefix in kept], dtype=np.int64)
    rows = np.zeros((len(kept), int(lengths.max(initial=1))), dtype=np.int64)
    for row, prefix in zip(rows, kept, strict=True):
        row[: len(prefix)] = prefix
    return rows, lengths
