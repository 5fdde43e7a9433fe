"""Records: what is kept of a prediction until its answer is known, few bytes in a visitor's state."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.scores import SCALE
from models.next_action.encoding import Batch
from models.next_action.features import CONTEXT_FEATURES, STEP_FEATURES

Records = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEFT_OUT = ("hour_sin", "hour_cos")
"""Of a shop whose first day is not over, nothing can be learnt about hours that have not come."""
AGGREGATES: tuple[str, ...] = tuple(name for name in CONTEXT_FEATURES if name not in LEFT_OUT)
"""The aggregates that members read."""

RECORD = np.dtype(
    [
        ("actions", "<u2"),
        ("bought", "u1"),
        ("weight", "u1"),
        ("chain", "<u2"),
        ("probabilities", "<u2", (6,)),
        ("aggregates", "u1", (len(AGGREGATES),)),
    ]
)
"""`actions` of the session and purchases among them at the prediction (255: that many or more); how many
predictions it stands for; the last three actions (`chain_of`); what the model said in
1/SCALE, that of a purchase last; aggregates as `value / STEPS - LOWEST`."""

STEPS, LOWEST = 16, 4
"""An aggregate is kept from -4 to 11.9 in steps of 1/16: all but flags are logarithms."""

_PLACES = np.array([CONTEXT_FEATURES.index(name) for name in AGGREGATES])
_KINDS = STEP_FEATURES[:5]
_SAME = STEP_FEATURES.index("same_product")
NO_ACTION = len(_KINDS)


def make_records(batch: Batch, probabilities: npt.NDArray[Any], purchase: npt.NDArray[Any]) -> Records:
    """A record per visitor of what a model read and said, without `actions`, `bought` and `weight`.

    probabilities (n, 5), purchase (n,).
    """
    steps, lengths, context = batch
    records = np.zeros(len(lengths), dtype=RECORD)
    records["chain"] = _chains(steps, lengths)
    return fill_records(records, context, probabilities, purchase)


def fill_records(
    records: Records, context: npt.NDArray[Any], probabilities: npt.NDArray[Any], purchase: npt.NDArray[Any]
) -> Records:
    """The records with what a model read of the context (n, features) and said."""
    records["aggregates"] = np.clip(np.rint((context[:, _PLACES] + LOWEST) * STEPS), 0, 255)
    records["probabilities"][:, :5] = np.rint(probabilities * SCALE)
    records["probabilities"][:, 5] = np.rint(purchase * SCALE)
    return records


def chain_of(kinds: Sequence[Ints], repeats: Sequence[Ints]) -> Ints:
    """One number for the last actions of each session, the last one first.

    `kinds` are those of the last three actions (`NO_ACTION`: there were fewer), `repeats` say of the last two
    whether they are of the product of the one before.
    """
    (last, before, first), (repeat, repeat_before) = kinds, repeats
    return np.asarray((((last * 2 + repeat) * 6 + before) * 2 + repeat_before) * 6 + first)


def _chains(steps: npt.NDArray[np.float32], lengths: Ints) -> Ints:
    rows = np.arange(len(lengths))
    kinds, repeats = [], []
    for back in range(1, 4):
        step = steps[rows, np.maximum(lengths - back, 0)]
        is_there = lengths >= back
        kinds.append(np.where(is_there, step[:, : len(_KINDS)].argmax(1), NO_ACTION))
        repeats.append(np.where(is_there, step[:, _SAME] > 0, False).astype(np.int64))
    return chain_of(kinds, repeats[:2])


def split_records(records: Records) -> list[bytes]:
    """The bytes of each record."""
    packed, size = records.tobytes(), RECORD.itemsize
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def aggregates_in(records: Records) -> Floats:
    """The aggregates as numbers (n, len(AGGREGATES))."""
    return np.asarray(records["aggregates"] * (1.0 / STEPS) - LOWEST)


def read_records(packed: bytes) -> Records:
    """The records in bytes joined; raises `ValueError` if they are none."""
    return np.frombuffer(packed, dtype=RECORD)
