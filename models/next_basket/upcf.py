"""UP-CF@r (Faggioli et al., UMAP 2020): popularity among the user's own recent baskets, by similar users."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from models.next_basket.baskets import Baskets, Ints
from models.next_basket.model import Scores, Training
from models.next_basket.neighbours import Dense, weigh_by_similarity


@dataclass(slots=True)
class UpCf:
    """The mean of users' recent shares, weighing similarity to the power of `locality`.

    `recency`: newest baskets that count for the shares. Similarity is that of all items bought.
    """

    recency: int = 10
    asymmetry: float = 0.75
    locality: float = 10.0
    name: str = "UP-CF@r"
    _bought: sparse.csr_matrix = field(default_factory=lambda: sparse.csr_matrix((0, 0)))
    _recent_by_item: sparse.csr_matrix = field(default_factory=lambda: sparse.csr_matrix((0, 0)))
    _users: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def fit(self, training: Training) -> None:
        """Keep what every known user bought."""
        known = training.known
        self._bought, self._users = bought(known), known.users
        self._recent_by_item = sparse.csr_matrix(self._shares(known).T.astype(np.float32))

    def scores(self, histories: Baskets) -> Scores:
        """Own recent shares, and those of the others by similarity; the user is as similar as can be: 1."""
        own, others = self.parts(histories)
        return np.asarray(own.toarray() + others, np.float32)

    def parts(self, histories: Baskets) -> tuple[sparse.csr_matrix, Dense]:
        """Own recent shares and the weighted sum of the others' (users, n_items each)."""
        similar = weigh_by_similarity(
            bought(histories), histories.users, self._bought, self._users,
            asymmetry=self.asymmetry, locality=self.locality,
        )  # fmt: skip
        return self._shares(histories), np.ascontiguousarray((self._recent_by_item @ similar).T)

    def _shares(self, histories: Baskets) -> sparse.csr_matrix:
        newest = histories.ages() < self.recency
        return histories.weighted(newest / np.minimum(histories.by_count(), self.recency))


def bought(histories: Baskets) -> sparse.csr_matrix:
    """1 for every item that the user bought (users, n_items)."""
    matrix = histories.weighted(np.ones(histories.n_baskets))
    matrix.data[:] = 1.0
    return matrix
