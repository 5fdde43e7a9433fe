"""TIFUKNN (Hu et al., SIGIR 2020) in the incremental form of Wang and Schelter (2022)."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from models.next_basket.baskets import Baskets, Floats, Int32s, Ints
from models.next_basket.model import Scores, Training
from models.next_basket.neighbours import nearest_by_distance


@dataclass(frozen=True, slots=True)
class TasteSettings:
    """How baskets become a user's vector: groups of `group_size` baskets from the oldest on.

    A group is the mean of its baskets, each weighing `within` times the next; a user is the mean of the
    groups, each weighing `between` times the next.
    """

    within: float = 0.9
    between: float = 0.7
    group_size: int = 7

    def weights(self, histories: Baskets) -> Floats:
        """Of every basket (baskets,)."""
        position, count = histories.positions(), histories.by_count()
        group = position // self.group_size
        groups = -(-count // self.group_size)
        members = np.minimum(self.group_size, count - group * self.group_size)
        later = members - 1 - position % self.group_size
        return np.asarray(self.within**later / members * self.between ** (groups - 1 - group) / groups)


@dataclass(slots=True)
class Taste:
    """One user's vector, kept up to date basket by basket; `vector` is what `TasteSettings.weights` give."""

    settings: TasteSettings
    groups: int = 0
    members: int = 0
    closed: dict[int, float] = field(default_factory=dict)
    open: dict[int, float] = field(default_factory=dict)

    def learn(self, basket: Int32s) -> None:
        """Add the newest basket."""
        if self.members in (0, self.settings.group_size):
            self.closed = {
                item: self.settings.between * (self.closed.get(item, 0.0) + self.open.get(item, 0.0))
                for item in self.closed.keys() | self.open.keys()
            }
            self.open, self.members, self.groups = {}, 0, self.groups + 1
        grown = self.members + 1
        self.open = {
            item: weight * self.settings.within * self.members / grown for item, weight in self.open.items()
        }
        for item in basket.tolist():
            self.open[item] = self.open.get(item, 0.0) + 1 / grown
        self.members = grown

    def vector(self) -> dict[int, float]:
        """Weights by item."""
        return {
            item: (self.closed.get(item, 0.0) + self.open.get(item, 0.0)) / self.groups
            for item in self.closed.keys() | self.open.keys()
        }


def taste_of(known: Baskets, user: int, settings: TasteSettings) -> Taste:
    """The taste of a user by all known baskets, which may be none."""
    taste = Taste(settings)
    for index in np.flatnonzero(known.users == user):
        for basket in range(known.user_starts[index], known.user_starts[index + 1]):
            taste.learn(known.items[known.starts[basket] : known.starts[basket + 1]])
    return taste


@dataclass(slots=True)
class TifuKnn:
    """Own vector and the mean vector of the nearest users; the defaults are the paper's for Ta-Feng."""

    neighbours: int = 300
    own_share: float = 0.7
    settings: TasteSettings = TasteSettings()
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
