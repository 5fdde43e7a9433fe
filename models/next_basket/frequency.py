"""Frequency lists: what everybody buys, what a user buys, and both."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Floats, require_times
from models.next_basket.model import Scores, Training

_FILLING = 1e-3
"""Weight of popularity in a personal list: it breaks ties, fills the end, and passes what decayed to less."""


@dataclass(slots=True)
class GTopFreq:
    """G-TopFreq: the items of most baskets; with `newest`, of each user's newest baskets only."""

    newest: int | None = None
    name: str = "G-TopFreq"
    _shares: Floats = field(default_factory=lambda: np.zeros(0))

    def fit(self, training: Training) -> None:
        """Count."""
        self._shares = shares_of_baskets(training.known, newest=self.newest)

    def scores(self, histories: Baskets) -> Scores:
        """Shares of baskets, the same for all."""
        return np.tile(self._shares.astype(np.float32), (histories.n_users, 1))

    def learn(self, basket: npt.NDArray[np.int32], n_baskets: int) -> None:
        """Count one basket more, of anybody; `n_baskets` is how many were counted before."""
        self._shares *= n_baskets / (n_baskets + 1)
        self._shares[basket] += 1 / (n_baskets + 1)


@dataclass(slots=True)
class PTopFreq:
    """P-TopFreq: the user's own items by the number of baskets with them; nothing else is predicted."""

    name: str = "P-TopFreq"

    def fit(self, training: Training) -> None:
        """A user's own list needs nothing of others."""

    def scores(self, histories: Baskets) -> Scores:
        """Shares of the user's baskets; -inf for items never bought."""
        own = own_shares(histories, np.ones(histories.n_baskets))
        return np.where(own > 0, own, -np.inf).astype(np.float32)


@dataclass(slots=True)
class GPTopFreq:
    """GP-TopFreq: own items by frequency, ties and the rest of the list by popularity.

    A basket counts `basket_decay` times as much as the next one, and half as much per `half_life_days` before
    the moment of asking (None: time does not matter).
    """

    basket_decay: float = 1.0
    half_life_days: float | None = None
    name: str = "GP-TopFreq"
    _shares: Floats = field(default_factory=lambda: np.zeros(0))

    def fit(self, training: Training) -> None:
        """Count what is popular."""
        self._shares = shares_of_baskets(training.known)

    def scores(self, histories: Baskets) -> Scores:
        """Weighted share of own baskets, and a little of the popularity."""
        weights = self.basket_decay ** histories.ages().astype(np.float64)
        if self.half_life_days is not None:
            weights = weights * 0.5 ** (days_before(histories) / self.half_life_days)
        return (own_shares(histories, weights) + _FILLING * self._shares).astype(np.float32)


def shares_of_baskets(known: Baskets, *, newest: int | None = None) -> Floats:
    """The share of baskets with each item (n_items,), of each user's `newest` baskets or of all."""
    counted = np.ones(known.n_baskets, bool) if newest is None else known.ages() < newest
    lines = known.by_line(counted)
    counts = np.bincount(known.items[lines.astype(bool)], minlength=known.n_items)
    return np.asarray(counts / max(1, int(counted.sum())))


def days_before(histories: Baskets) -> Floats:
    """Days from each basket to the moment of asking, or to the user's newest basket where that is unknown."""
    at_days = require_times(histories)
    asked = histories.asked_days
    if asked is None:
        asked = at_days[histories.user_starts[1:] - 1]
    return np.asarray(asked[histories.owners()] - at_days)


def own_shares(histories: Baskets, weights: Floats) -> Floats:
    """The weighted share of each user's baskets that hold each item (users, n_items)."""
    totals = np.bincount(histories.owners(), weights=weights, minlength=histories.n_users)
    return np.asarray(histories.weighted(weights / totals[histories.owners()]).toarray())
