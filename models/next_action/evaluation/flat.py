"""What a network reads of a case, as one row of numbers for models that know no sequences."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.next_action.cases import PrefixSet
from models.next_action.encoding import CONTEXT_FEATURES, MAX_STEPS, Batch
from models.next_action.features import STEP_FEATURES
from models.next_action.rates import RATE_FEATURES

Rows = npt.NDArray[np.float32]
_AT_ONCE = 8_192


def flat_names(n_context: int) -> list[str]:
    """The names of the columns of `flat_inputs`; `n_context` numbers of the context."""
    steps = [f"{name}_{back}" for back in range(1, MAX_STEPS + 1) for name in STEP_FEATURES]
    return [*(*CONTEXT_FEATURES, *RATE_FEATURES)[:n_context], *steps]


def flat_inputs(cases: PrefixSet) -> Rows:
    """One row per case: the context, then its last `MAX_STEPS` steps, newest first; 0 if absent."""
    rows = np.empty((len(cases), len(flat_names(cases.context.shape[1]))), dtype=np.float32)
    for chunk, own in flat_chunks(cases):
        rows[chunk] = own
    return rows


def flat_chunks(cases: PrefixSet) -> Iterator[tuple[slice, Rows]]:
    """The same, some thousand cases at a time: all rows of a large shop are gigabytes."""
    for at in range(0, len(cases), _AT_ONCE):
        chunk = slice(at, min(len(cases), at + _AT_ONCE))
        yield chunk, flatten(cases.batch(chunk))


def flatten(batch: Batch) -> Rows:
    """One row per case of a batch as models read it."""
    steps, lengths, context = batch  # (n, time, features), left-aligned
    time = min(steps.shape[1], MAX_STEPS)
    newest_first = lengths[:, None] - 1 - np.arange(time)
    turned = np.take_along_axis(steps, newest_first.clip(min=0)[:, :, None], axis=1)
    turned[newest_first < 0] = 0.0
    rows = np.zeros((len(lengths), context.shape[1] + MAX_STEPS * steps.shape[2]), dtype=np.float32)
    rows[:, : context.shape[1]] = context
    rows[:, context.shape[1] :][:, : time * steps.shape[2]] = turned.reshape(len(lengths), -1)
    return rows
