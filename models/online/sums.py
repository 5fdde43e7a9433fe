"""Everything that is learnt, as one vector of sums: those of partitions add up to those of the shop."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.online.records import AGGREGATES
from models.online.tables import TABLE_ROWS

Floats = npt.NDArray[np.float64]

MEMBERS = ("base_rates", "model", "calibrated", "actions", "pace", "regression")
"""What is mixed, in the order of every array: how often things happen in the shop whoever it is; the model as
it is, and calibrated; what follows the last three actions; what follows the last one at this pace, with this
cart; and a regression over the aggregates."""
TASKS = ("next_action", "purchase")
OUTPUTS = 6
"""The five next actions, and a purchase later in the session."""
INPUTS = 1 + len(AGGREGATES) + OUTPUTS
"""Of the regression: a constant, the aggregates, and what the model says."""
MODEL_INPUTS = slice(INPUTS - OUTPUTS, INPUTS)

_SHAPES: dict[str, tuple[int, ...]] = {
    "rates": (7,),
    "tables": (TABLE_ROWS, 7),
    "weights": (INPUTS, OUTPUTS),
    "weights_sq": (INPUTS, OUTPUTS),
    "scale": (2, OUTPUTS),
    "scale_sq": (2, OUTPUTS),
    "losses": (len(MEMBERS) + 1, 2),
    "judged": (2,),
    "total_losses": (len(MEMBERS) + 1, 2),
    "total_judged": (2,),
}
_ENDS = np.cumsum([int(np.prod(shape)) for shape in _SHAPES.values()]).tolist()
SIZE = _ENDS[-1]
OF_MODEL = slice(_ENDS[3], SIZE)
"""What says nothing once the model is another one, beside `MODEL_INPUTS` of the regression."""


class Sums(NamedTuple):
    """Views of one vector of `SIZE` numbers.

    `rates` counts the five next actions, then sessions without and with a purchase to come; a row of `tables`
    counts the same after certain histories. `weights` and `scale` are sums of steps of descent, `_sq` of
    squared gradients. `losses` are log losses of the members and, last, of the mixture, by task, `judged`
    how many they are of, both with forgetting; `total_` without.
    """

    rates: Floats
    tables: Floats
    weights: Floats
    weights_sq: Floats
    scale: Floats
    scale_sq: Floats
    losses: Floats
    judged: Floats
    total_losses: Floats
    total_judged: Floats


def nothing_learnt() -> Floats:
    """The vector of who has learnt nothing."""
    return np.zeros(SIZE)


def sums_in(vector: Floats) -> Sums:
    """The parts of a vector; writing into them writes into it."""
    starts = [0, *_ENDS]
    return Sums(*(
        vector[start:end].reshape(shape)
        for start, end, shape in zip(starts, _ENDS, _SHAPES.values(), strict=False)
    ))  # fmt: skip


def forget_model(vector: Floats) -> Floats:
    """A copy without what was learnt about the model that gave the probabilities."""
    left = vector.copy()
    left[OF_MODEL] = 0.0
    sums = sums_in(left)
    sums.weights[MODEL_INPUTS] = 0.0
    sums.weights_sq[MODEL_INPUTS] = 0.0
    return left
