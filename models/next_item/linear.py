"""A linear model of the next item: ridge regression on the items of the prefix, in closed form.

The transition part (SLIT) of Choi et al., Session-aware linear item-item models for session-based
recommendation, WWW 2021, for single next items.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

from models.next_item.model import Scores
from models.next_item.prefixes import flatten
from models.next_item.sessions import UNKNOWN, Codes, Sessions

MOST_ITEMS = 15_000
"""Its matrix has 4 bytes for each pair of items, and fitting needs it three times."""
_REACH = 12
"""Items further back than this have no weight worth its place: 0.8 ** 12 = 0.07."""


class LinearTransitions:
    """Each item has a weight for each next item; items of the prefix count `decay` ** steps from its end."""

    name = "linear"

    def __init__(self, decay: float = 0.8, penalty: float = 10.0) -> None:
        self._decay, self._penalty = decay, penalty

    def fit(self, sessions: Sessions) -> None:
        self._n_items = n = sessions.n_items
        before, following = self._pairs(sessions)
        gram = (before.T @ before).toarray()
        gram[np.diag_indices(n)] += self._penalty
        together = (before.T @ following).toarray()
        weights = scipy.linalg.solve(gram, together, assume_a="pos", overwrite_a=True, overwrite_b=True)
        # LAPACK's answer lies by columns; every product with rows of prefixes would copy it.
        self._weights: npt.NDArray[np.float32] = np.ascontiguousarray(weights)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        steps = flatten(prefixes)
        return np.asarray(steps.as_rows(self._decay**steps.back, self._n_items) @ self._weights)

    def _pairs(self, sessions: Sessions) -> tuple[sp.csr_array, sp.csr_array]:
        """(events, n_items): the decayed prefix before each event, and its item."""
        items, session = sessions.items, sessions.session_of
        shape = len(items), self._n_items
        rows, columns, weights = [], [], []
        for gap in range(1, _REACH + 1):
            row = np.flatnonzero((session[gap:] == session[:-gap]) & (items[:-gap] != UNKNOWN)) + gap
            rows.append(row)
            columns.append(items[row - gap])
            weights.append(np.full(len(row), self._decay ** (gap - 1), dtype=np.float32))
        places = np.concatenate(rows), np.concatenate(columns)
        before = sp.coo_array((np.concatenate(weights), places), shape=shape).tocsr()
        known = np.flatnonzero(items != UNKNOWN)
        ones = np.ones(len(known), dtype=np.float32)
        return before, sp.coo_array((ones, (known, items[known])), shape=shape).tocsr()
