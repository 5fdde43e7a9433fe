"""The best items of rows of scores."""

import numpy as np

from models.next_item.model import Scores
from models.next_item.sessions import UNKNOWN, Codes

_PER_GROUP = 64


def top_items(scores: Scores, lowest: Scores, size: int) -> Codes:
    """(n, `size`): the best items, the best first, of those above the `lowest` (n,) of their row.

    Of items with the same score the one with the lower code comes first.
    """
    top = np.full((len(scores), size), UNKNOWN, dtype=np.int32)
    reached = np.maximum(_reached(scores, size), np.nextafter(lowest, np.float32(np.inf)))
    for row, own in enumerate(scores):
        places = np.flatnonzero(own >= reached[row])
        best = places[np.argsort(-own[places], kind="stable")[:size]]
        top[row, : len(best)] = best
    return top


def _reached(scores: Scores, size: int) -> Scores:
    """(n,): a score that at least `size` items of each row reach, and few more.

    Items are put into groups: `size` groups reach the `size`th highest of the groups' maxima.
    """
    n, n_items = scores.shape
    n_groups = n_items // _PER_GROUP
    if n_groups < size:
        return np.full(n, -np.inf, dtype=np.float32)
    # A group has every `n_groups`th item, so that maxima are taken of whole stretches of memory.
    grouped = scores[:, : n_groups * _PER_GROUP].reshape(n, _PER_GROUP, n_groups)
    highest = grouped.max(axis=1)
    return np.partition(highest, n_groups - size, axis=1)[:, n_groups - size]
