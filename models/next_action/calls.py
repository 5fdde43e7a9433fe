"""Calls of a model: as wide as the longest session in them, so those of like length go together."""

from collections.abc import Sequence

import numpy as np

from models.next_action.encoding import Batch
from models.next_action.model import Model
from models.next_action.predictor import Ints, Prediction

CALL_STEPS = 112
"""Steps of padding that are worth a call of their own. As `make bench ARGS="calls"` measured it on the blend
(docs/next-action.md): the least time for 64 and 256 visitors at once, a tenth more than one call for 16."""
MOST_VISITORS = 256
"""Visitors in one call: beyond, one is no cheaper."""


def predict_alike(model: Model, batch: Batch, ids: Ints | None, call_steps: int = CALL_STEPS) -> Prediction:
    """What the model says of a batch, in calls of like length with `call_steps` of padding at most."""
    steps, lengths, context = batch
    order = np.argsort(lengths, kind="stable")
    sizes = lengths[order].tolist()
    chances = np.empty((len(sizes), 5), np.float32)
    purchase = np.empty(len(sizes), np.float32)
    for part in alike(sizes, call_steps):
        places, width = order[part], sizes[part.stop - 1]
        own = None if ids is None else ids[places, :width]
        chances[places], purchase[places] = model.predict(
            steps[places, :width], lengths[places], context[places], own
        )
    return Prediction(chances, purchase)


def alike(lengths: Sequence[int], call_steps: int = CALL_STEPS) -> list[slice]:
    """Runs of these lengths, which are in order, that are best asked about together."""
    parts = []
    end, padding = len(lengths), 0
    for place in range(len(lengths) - 1, -1, -1):
        padding += lengths[end - 1] - lengths[place]
        if padding > call_steps or end - place > MOST_VISITORS:
            parts.append(slice(place + 1, end))
            end, padding = place + 1, 0
    if end:
        parts.append(slice(0, end))
    return parts
