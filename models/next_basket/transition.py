"""Transition: what follows, in a user's next basket, the items of the newest one."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from models.next_basket.baskets import Baskets
from models.next_basket.model import Scores, Training


@dataclass(slots=True)
class Transition:
    """The mean probability of an item in the next basket, given each item of the newest.

    An item seen in few baskets says little: `prior` baskets without any successor are added to its own.
    """

    prior: float = 20.0
    most: int | None = None
    """Of each item, only the likeliest successors are kept; None: all."""
    name: str = "transition"
    _next: sparse.csr_matrix = field(default_factory=lambda: sparse.csr_matrix((0, 0)))

    def fit(self, training: Training) -> None:
        """Count pairs of consecutive baskets."""
        known = training.known
        lines = sparse.csr_matrix(
            (np.ones(len(known.items)), known.items, known.starts), shape=(known.n_baskets, known.n_items)
        )
        has_next = np.flatnonzero(known.ages() > 0)
        before, after = lines[has_next], lines[has_next + 1]
        counts = np.asarray(before.sum(axis=0)).ravel()
        per_basket = sparse.diags(1 / np.maximum(counts + self.prior, 1))
        chances = sparse.csr_matrix(per_basket @ (before.T @ after))
        self._next = chances if self.most is None else _likeliest(chances, self.most)

    @property
    def chances(self) -> sparse.csr_matrix:
        """Of each item after each item (n_items, n_items)."""
        return self._next

    def scores(self, histories: Baskets) -> Scores:
        """Probabilities, 0 for what never followed."""
        return np.asarray(self.sparse_scores(histories).toarray(), np.float32)

    def sparse_scores(self, histories: Baskets) -> sparse.csr_matrix:
        """The same, sparse (users, n_items)."""
        newest = (histories.ages() == 0) / histories.sizes()
        return sparse.csr_matrix(histories.weighted(newest) @ self._next)


def _likeliest(chances: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """The `most` greatest values of each row."""
    row = np.repeat(np.arange(chances.shape[0]), np.diff(chances.indptr))
    order = np.lexsort((chances.indices, -chances.data, row))
    kept = order[np.arange(len(order)) - chances.indptr[row] < most]
    return sparse.csr_matrix((chances.data[kept], (row[kept], chances.indices[kept])), shape=chances.shape)
