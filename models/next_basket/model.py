"""What every predictor of baskets is asked, and what it learns from."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Cases, Int32s

Scores = npt.NDArray[np.float32]


class Examples(NamedTuple):
    """Cases to learn from, with what was known of all users when they were asked."""

    known: Baskets
    cases: Cases


class Training(NamedTuple):
    """What there is to learn from: `known` before anything that is asked for, and `examples` of cases.

    Counts are made of `known` only, so a popularity that the cases of the same time would show stays out.
    """

    known: Baskets
    examples: Sequence[Examples] = ()


class NextBasketModel(Protocol):
    """A predictor. `scores` writes nothing, and a history of a user in `known` is no neighbour of itself."""

    @property
    def name(self) -> str: ...

    def fit(self, training: Training) -> None:
        """Learn from scratch."""

    def scores(self, histories: Baskets) -> Scores:
        """Of every item (users, n_items), higher is likelier; -inf: is never predicted."""


def rank(scores: Scores, k: int, last: Sequence[Int32s] | None = None) -> Int32s:
    """The `k` items with the highest scores of each row (rows, k), -1 where there are no more.

    Equal scores are in order of codes, except that items in `last` (one array per row) come after the others:
    given the true items, ties count against the model.
    """
    ranked = np.full((len(scores), k), -1, np.int32)
    k_th = max(0, scores.shape[1] - k)
    bounds = np.partition(scores, k_th, axis=1)[:, k_th]
    for row, (values, bound) in enumerate(zip(scores, bounds, strict=True)):
        candidates = np.flatnonzero((values >= bound) & (values > -np.inf))
        late = np.isin(candidates, last[row]) if last is not None else np.zeros(len(candidates), bool)
        best = candidates[np.lexsort((candidates, late, -values[candidates]))[:k]]
        ranked[row, : len(best)] = best
    return ranked
