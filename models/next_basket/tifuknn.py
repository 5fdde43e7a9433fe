"""TIFUKNN (Hu et al., SIGIR 2020) in the incremental form of Wang and Schelter (2022)."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from models.next_basket.baskets import Baskets, Int32s, Ints
from models.next_basket.model import Scores, Training
from models.next_basket.neighbours import nearest_by_distance
from models.next_basket.taste import DEFAULT, Taste, TasteSettings, taste_of


@dataclass(slots=True)
class TifuKnn:
    """Own vector and the mean vector of the nearest users; the defaults are the paper's for Ta-Feng."""

    neighbours: int = 300
    own_share: float = 0.7
    settings: TasteSettings = DEFAULT
    name: str = "TIFUKNN"
    _known: sparse.csr_matrix = field(default_factory=lambda: sparse.csr_matrix((0, 0)))
    _users: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    _baskets: Baskets | None = None
    _tastes: dict[int, Taste] = field(default_factory=dict)
    """Of users that learnt since."""

    def fit(self, training: Training) -> None:
        """Keep the vector of every known user."""
        known = training.known
        self._known, self._users = known.weighted(self.settings.weights(known)), known.users
        self._baskets, self._tastes = known, {}

    def learn(self, user: int, basket: Int32s) -> None:
        """Add a basket to a known user's vector, or know a new user by it."""
        if self._baskets is None:
            raise ValueError("TIFUKNN must be fitted before it learns more")
        taste = self._tastes.get(user) or taste_of(self._baskets, user, self.settings)
        self._tastes[user] = taste
        taste.learn(basket)
        vector = taste.vector()
        row = sparse.csr_matrix(
            (list(vector.values()), list(vector.keys()), [0, len(vector)]), shape=(1, self._known.shape[1])
        )
        others = self._users != user
        self._known = sparse.vstack([self._known[np.flatnonzero(others)], row], format="csr")
        self._users = np.append(self._users[others], user)

    def scores(self, histories: Baskets) -> Scores:
        """The mixture of both vectors."""
        own, others = self.parts(histories)
        mixed = self.own_share * own + (1 - self.own_share) * others
        return np.asarray(mixed.toarray(), np.float32)

    def parts(self, histories: Baskets) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Own vectors and the means of the neighbours' (users, n_items each)."""
        own = histories.weighted(self.settings.weights(histories))
        nearest = nearest_by_distance(own, histories.users, self._known, self._users, self.neighbours)
        return own, nearest @ self._known
