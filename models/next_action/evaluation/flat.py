"""What a network reads of a case, as one row of numbers for models that know no sequences."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.next_action.cases import PrefixSet
from models.next_action.encoding import CONTEXT_FEATURES, MAX_STEPS
from models.next_action.features import STEP_FEATURES
from models.next_action.rates import RATE_FEATURES

_AT_ONCE = 8_192


def flat_names(n_context: int) -> list[str]:
    """The names of the columns of `flat_inputs`; `n_context` numbers of the context."""
    steps = [f"{name}_{back}" for back in range(1, MAX_STEPS + 1) for name in STEP_FEATURES]
    return [*(*CONTEXT_FEATURES, *RATE_FEATURES)[:n_context], *steps]


def flat_inputs(cases: PrefixSet) -> npt.NDArray[np.float32]:
    """One row per case: the context, then its last `MAX_STEPS` steps, newest first; 0 if absent."""
    width = cases.context.shape[1]
    rows = np.zeros((len(cases), width + MAX_STEPS * len(STEP_FEATURES)), dtype=np.float32)
    rows[:, :width] = cases.context
    for chunk in _chunks(len(cases)):
        steps, lengths, _ = cases.batch(chunk)  # (n, time, features), left-aligned
        time = steps.shape[1]
        newest_first = lengths[:, None] - 1 - np.arange(time)
        turned = np.take_along_axis(steps, newest_first.clip(min=0)[:, :, None], axis=1)
        turned[newest_first < 0] = 0.0
        rows[chunk, width : width + time * len(STEP_FEATURES)] = turned.reshape(len(lengths), -1)
    return rows


def _chunks(n: int) -> Iterator[slice]:
    return (slice(at, min(n, at + _AT_ONCE)) for at in range(0, n, _AT_ONCE))
