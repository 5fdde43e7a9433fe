"""Calls of a model: as wide as the longest session in them, so those of like length go together."""

from collections.abc import Sequence

import numpy as np

from models.next_action.encoding import Batch
from models.next_action.model import Model
from models.next_action.predictor import Ints, Prediction

CALL_STEPS = 28
"""What a call costs beside its rows, in steps of a visitor: 25 us against .9 (onnxruntime, a network
alone; trees add a fifth to a call). More padding than this is worth a call of its own."""
MOST_VISITORS = 256
"""Visitors in one call: beyond, one is no cheaper."""


def predict_alike(model: Model, batch: Batch, ids: Ints | None) -> Prediction:
    """What the model says of a batch, in calls of like length."""
    steps, lengths, context = batch
    order = np.argsort(lengths, kind="stable")
    sizes = lengths[order].tolist()
    chances = np.empty((len(sizes), 5), np.float32)
    purchase = np.empty(len(sizes), np.float32)
    for part in alike(sizes):
        places, width = order[part], sizes[part.stop - 1]
        own = None if ids is None else ids[places, :width]
        chances[places], purchase[places] = model.predict(
            steps[places, :width], lengths[places], context[places], own
        )
    return Prediction(chances, purchase)


def alike(lengths: Sequence[int]) -> list[slice]:
    """Runs of these lengths, which are in order, that are best asked about together."""
    parts = []
    end, padding = len(lengths), 0
    for place in range(len(lengths) - 1, -1, -1):
        padding += lengths[end - 1] - lengths[place]
        if padding > CALL_STEPS or end - place > MOST_VISITORS:
            parts.append(slice(place + 1, end))
            end, padding = place + 1, 0
    if end:
        parts.append(slice(0, end))
    return parts
