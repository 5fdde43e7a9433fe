"""The best items of rows of scores."""

import numpy as np

from models.next_item.model import Scores
from models.next_item.sessions import UNKNOWN, Codes

_BLOCK = 64


def top_items(scores: Scores, lowest: Scores, size: int) -> Codes:
    """(n, `size`): the best items, the best first, of those above the `lowest` (n,) of their row."""
    top = np.full((len(scores), size), UNKNOWN, dtype=np.int32)
    blocks = np.arange(0, scores.shape[1], _BLOCK)
    for row, own in enumerate(scores):
        # At least `size` items reach the `size`th highest of the blocks' maxima: few enough to sort.
        highest = np.sort(np.maximum.reduceat(own, blocks))
        reached = highest[-size] if len(highest) > size else lowest[row]
        places = np.flatnonzero((own >= reached) & (own > lowest[row]))
        if len(places) > size:
            places = places[np.argpartition(-own[places], size)[:size]]
        top[row, : len(places)] = places[np.argsort(-own[places], kind="stable")]
    return top
