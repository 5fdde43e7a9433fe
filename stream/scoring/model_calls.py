"""Calls of the model: which visitors are asked together, and one call's way from states to scores."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.scores import SCALE, Score
from contracts.visitor import Visitor
from models.next_action.encoding import Encoded, stack, stack_ids
from models.next_action.model import Model

CALLS = 8
FEWEST_VISITORS, MOST_VISITORS = 32, 128
"""Visitors in one call: about an eighth of all, within these bounds.

They are padded to the longest session among them, so small calls of like length cost half of one large call;
and while the model works on one, the event loop encodes the next.
"""


def plan_calls(visitors: Sequence[Visitor]) -> list[list[int]]:
    """Places in `visitors` that are asked together, those of like length, shortest first."""
    order = sorted(range(len(visitors)), key=lambda place: sum(visitors[place].head.counts))
    most = min(max(len(order) // CALLS, FEWEST_VISITORS), MOST_VISITORS)
    size = ceil(len(order) / max(1, ceil(len(order) / most)))  # as many calls, of about the same size
    return [order[at : at + size] for at in range(0, len(order), max(1, size))]


def ask(model: Model, visitors: Sequence[Visitor], encoded: Sequence[Encoded]) -> list[Score]:
    """One call: the scores of these visitors in their order, rounded as `contracts.scores` keeps them.

    Raises `ArithmeticError` if the model gives a number that is none, and whatever the model raises.
    """
    batch = stack(encoded)
    ids = stack_ids([visitor.tail.actions() for visitor in visitors], batch[1]) if model.reads_ids else None
    probabilities, purchase = model.predict(*batch, ids)
    if not (np.isfinite(probabilities).all() and np.isfinite(purchase).all()):
        raise ArithmeticError("the model gave a number that is none")
    rows = zip(visitors, _round(probabilities), _round(purchase), model.reasons(batch[2]), strict=True)
    version = model.version
    return [
        Score(
            version, visitor.head.last_ms, sum(visitor.head.counts), visitor.head.number, tuple(row), chance,
            tuple([(code, round(effect * SCALE) / SCALE) for code, effect in why]),
        )
        for visitor, row, chance, why in rows
    ]  # fmt: skip


def _round(values: npt.NDArray[np.float32]) -> list[Any]:
    """What `contracts.scores.round_score` makes of each, all at once."""
    rounded: list[Any] = (np.rint(values.astype(np.float64) * SCALE) / SCALE).tolist()
    return rounded
