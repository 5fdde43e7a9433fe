"""From actions to the numbers a model sees, the same over files and over live visitors."""

from collections.abc import Callable, Iterable, Sequence
from struct import Struct

import numpy as np
import numpy.typing as npt

from contracts.visitor import Action, Visitor
from models.next_action.context import context_row
from models.next_action.features import CONTEXT_FEATURES as CONTEXT_FEATURES
from models.next_action.features import ID_FEATURES
from models.next_action.features import STEP_FEATURES as STEP_FEATURES
from models.next_action.fold import MAX_STEPS as MAX_STEPS
from models.next_action.fold import Fold, Row, hash_names
from models.next_action.prices import PriceLevel

Encoded = tuple[list[Row], Row]
"""Steps, oldest first, and context."""

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Steps (batch, time, features), left-aligned, zero padded; lengths (batch,); context (batch, features)."""


Inputs = tuple[
    npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64] | None
]
"""A batch and the hashed names of its steps (batch, time, kinds), 0 for none and in the padding; None: not
read."""


_PACK_STEP = Struct(f"{len(STEP_FEATURES)}f").pack
_PACK_CONTEXT = Struct(f"{len(CONTEXT_FEATURES)}f").pack


class Encoding(Fold):
    """The current session of one visitor: `push` actions in their order, then read `steps` and `context`."""

    def context(self) -> Row:
        """The aggregates as of the last action, one number per name in `CONTEXT_FEATURES`."""
        return context_row(self)


def encode_visitor(visitor: Visitor, level: PriceLevel, idle_ms: int) -> Encoded:
    """Steps and context of a live visitor's current session as of their last action."""
    encoding = fold_visitor(visitor, level, idle_ms)
    return encoding.steps(), encoding.context()


def encode_visitors(visitors: Sequence[Visitor], levels: Sequence[PriceLevel], idle_ms: int) -> Batch:
    """The inputs of a model for live visitors, each with the price level of its shop."""
    return stack(
        [encode_visitor(visitor, level, idle_ms) for visitor, level in zip(visitors, levels, strict=True)]
    )


def encode_context(visitor: Visitor, level: PriceLevel, idle_ms: int) -> Row:
    """The context alone, without the work of the steps."""
    actions = visitor.tail.actions()
    encoding = Encoding(idle_ms=idle_ms, level=level)
    encoding.resume(visitor, actions)
    for action in actions[:-1]:
        encoding.push(action, with_row=False)
    encoding.push(actions[-1])
    return encoding.context()


def fold_visitor(visitor: Visitor, level: PriceLevel, idle_ms: int) -> Encoding:
    """The fold over what the state of a live visitor holds, with rows of the current session only."""
    actions = visitor.tail.actions()
    encoding = Encoding(idle_ms=idle_ms, level=level)
    encoding.resume(visitor, actions)
    start_ms, unread = visitor.head.start_ms, len(actions) - MAX_STEPS
    for index, action in enumerate(actions):
        encoding.push(action, with_row=index >= unread and action.at_ms >= start_ms)
    return encoding


def encode_actions(actions: Iterable[Action], level: PriceLevel, idle_ms: int) -> Encoded:
    """The same for the actions of a visitor of whom nothing else is known; sorted, and at least one."""
    encoding = Encoding(idle_ms=idle_ms, level=level)
    for action in actions:
        encoding.push(action)
    return encoding.steps(), encoding.context()


def stack(encoded: Sequence[Encoded]) -> Batch:
    """Encoded visitors as one batch, as wide as the longest of them."""
    lengths = np.array([len(rows) for rows, _ in encoded], dtype=np.int64)
    width = int(lengths.max(initial=1))
    steps = np.zeros((len(encoded), width, len(STEP_FEATURES)), dtype=np.float32)
    steps[np.arange(width) < lengths[:, None]] = _join(
        [row for rows, _ in encoded for row in rows], _PACK_STEP, len(STEP_FEATURES)
    )
    return steps, lengths, _join([context for _, context in encoded], _PACK_CONTEXT, len(CONTEXT_FEATURES))


def with_rates(batch: Batch, rates: npt.NDArray[np.float32]) -> Batch:
    """The batch with `RATE_FEATURES` (batch, 6) at the end of the context, for a model that reads them."""
    steps, lengths, context = batch
    return steps, lengths, np.concatenate([context, rates], axis=1)


def _join(rows: Sequence[Row], pack: Callable[..., bytes], width: int) -> npt.NDArray[np.float32]:
    """The rows as an array (rows, width). From tuples numpy takes four times as long."""
    return np.frombuffer(bytearray().join([pack(*row) for row in rows]), dtype=np.float32).reshape(-1, width)


def stack_ids(actions: Sequence[Sequence[Action]], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Hashed names of the steps of a batch, (batch, time, kinds), 0 in the padding.

    `actions` are what is known of each visitor, oldest first; of the last ones the steps were made.
    """
    ids = np.zeros((len(lengths), int(lengths.max(initial=1)), len(ID_FEATURES)), dtype=np.int64)
    for own, known, length in zip(ids, actions, lengths.tolist(), strict=True):
        own[:length] = [hash_names(action) for action in known[-length:]]
    return ids
