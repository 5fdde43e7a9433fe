"""A user's vector of TIFUKNN: groups of baskets whose weights decay, all at once or basket by basket."""

from dataclasses import dataclass, field

import numpy as np

from models.next_basket.baskets import Baskets, Floats, Int32s


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


DEFAULT = TasteSettings()


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
