"""How much padding in a call of a model is worth a call of its own: visitors scored with different limits."""

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from models.next_action.calls import alike, predict_alike
from models.next_action.encoding import Batch
from models.next_action.model import Model

LIMITS = (0, 7, 14, 28, 56, 112, 224, 448, 1 << 20)
"""Most steps of padding in a call; the last lets everybody into one."""
ROUNDS = (16, 64, 256)
"""Visitors asked about at once."""


def measure_calls(
    model: Model, batch: Batch, *, runs: int, progress: Callable[[int], None]
) -> dict[int, dict[int, float]]:
    """Microseconds of CPU per visitor by visitors at once and by limit, medians of runs in turns.

    `progress` gets 1 for each run; a first one is not counted.
    """
    spent: dict[int, dict[int, list[float]]] = {size: {limit: [] for limit in LIMITS} for size in ROUNDS}
    rounds = {size: _rounds(batch, size) for size in ROUNDS}
    for run in range(runs + 1):
        for size, parts in rounds.items():
            for limit in LIMITS:
                began_s = time.process_time()
                for part in parts:
                    predict_alike(model, part, None, limit)
                if run:
                    spent[size][limit].append(time.process_time() - began_s)
        progress(1)
    return {
        size: {limit: median(taken) / len(batch[1]) * 1e6 for limit, taken in own.items()}
        for size, own in spent.items()
    }


def count_calls(batch: Batch) -> dict[int, dict[int, float]]:
    """How many calls the same rounds take, on the average."""
    rounds = {size: [np.sort(part[1]).tolist() for part in _rounds(batch, size)] for size in ROUNDS}
    return {
        size: {limit: sum(len(alike(part, limit)) for part in parts) / len(parts) for limit in LIMITS}
        for size, parts in rounds.items()
    }


def _rounds(batch: Batch, size: int) -> Sequence[Batch]:
    steps, lengths, context = batch
    places = [slice(at, at + size) for at in range(0, len(lengths), size)]
    return [(steps[place, : lengths[place].max()], lengths[place], context[place]) for place in places]
