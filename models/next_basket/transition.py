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
        self._next = sparse.csr_matrix(per_basket @ (before.T @ after))

    def scores(self, histories: Baskets) -> Scores:
        """Probabilities, 0 for what never followed."""
        return np.asarray(self.sparse_scores(histories).toarray(), np.float32)

    def sparse_scores(self, histories: Baskets) -> sparse.csr_matrix:
        """The same, sparse (users, n_items)."""
        newest = (histories.ages() == 0) / histories.sizes()
        return sparse.csr_matrix(histories.weighted(newest) @ self._next)
