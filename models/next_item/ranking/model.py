"""A model of the next item that orders the candidates of others anew."""

from collections.abc import Sequence

import numpy as np

from models.next_item.model import Scores
from models.next_item.ranking.orders import Order
from models.next_item.ranking.pool import CandidatePool
from models.next_item.sessions import Codes, Sessions


class RankedCandidates:
    """The candidates of a pool in an order that was learnt; behind them all other items.

    The others are in the order of the first model of the pool.

    Two models of one pool that are fitted on the same sessions, one after the other, fit the pool once.
    """

    def __init__(self, pool: CandidatePool, order: Order) -> None:
        self.name = order.name
        self._pool, self.order = pool, order

    def fit(self, sessions: Sessions) -> None:
        """Learn from scratch: the order from the newest tenth of the sessions, the pool from all."""
        learnt, checked = self._pool.prepare(sessions)
        self.order.fit(learnt, checked, self._pool.feature_names)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        """(n, n_items): candidates above 0, other items below, -inf where the pool's first model says so."""
        pairs, first = self._pool.collect(prefixes)
        highest = first.max(axis=1, initial=-np.inf, where=np.isfinite(first), keepdims=True)
        scores = np.where(np.isfinite(first), first - highest - 1.0, -np.inf).astype(np.float32)
        values = self.order.values(pairs)
        scores[pairs.row, pairs.item] = 1.0 + values - values.min(initial=0.0)
        return scores
