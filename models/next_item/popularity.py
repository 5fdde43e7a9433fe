"""What most sessions contain: the baselines that do not read the session, or nothing but its own items."""

from collections.abc import Sequence

import numpy as np

from models.next_item.model import Scores
from models.next_item.prefixes import Floats, flatten
from models.next_item.sessions import UNKNOWN, Codes, Sessions


class Popularity:
    """The items that occur most often, the same for everybody."""

    name = "popularity"

    def fit(self, sessions: Sessions) -> None:
        self._counts: Floats = np.bincount(sessions.items, minlength=sessions.n_items).astype(np.float64)

    def learn(self, session: Codes) -> None:
        np.add.at(self._counts, session[session != UNKNOWN], 1.0)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        return np.tile(self._counts.astype(np.float32), (len(prefixes), 1))


class RecentPopularity:
    """The same where an occurrence counts half as much after `half_life` more events of the shop."""

    name = "recent-popularity"

    def __init__(self, half_life_share: float = 0.02) -> None:
        """`half_life_share`: the half-life as a share of the events that `fit` gets."""
        self._share = half_life_share

    def fit(self, sessions: Sessions) -> None:
        n = len(sessions.items)
        self._half_life = max(1.0, self._share * n)
        age = np.arange(n - 1, -1, -1)
        weights = 0.5 ** (age / self._half_life)
        self._counts: Floats = np.bincount(sessions.items, weights, minlength=sessions.n_items).astype(
            np.float64
        )

    def learn(self, session: Codes) -> None:
        known = session[session != UNKNOWN]
        self._counts *= 0.5 ** (len(known) / self._half_life)
        np.add.at(self._counts, known, 1.0)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        return np.tile(self._counts.astype(np.float32), (len(prefixes), 1))


class SessionItems(Popularity):
    """The items of the session itself, those that occurred most often first, then by popularity (S-POP).

    Equally frequent items: the latest first. Hidasi et al., Session-based recommendations with recurrent
    neural networks, ICLR 2016.
    """

    name = "session-items"

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        steps = flatten(prefixes)
        scores = np.tile(
            (self._counts / (1.0 + self._counts.max(initial=0.0))).astype(np.float32), (steps.n, 1)
        )
        np.add.at(scores, (steps.row, steps.item), np.float32(2.0))
        latest = steps.distinct()
        np.add.at(scores, (latest.row, latest.item), (1.0 / (1.0 + latest.back)).astype(np.float32))
        return scores


class LastItem:
    """The latest item again, and nothing else."""

    name = "last-item"

    def fit(self, sessions: Sessions) -> None:
        self._n_items = sessions.n_items

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        latest = flatten(prefixes).latest()
        return np.asarray(latest.as_rows(np.ones(len(latest.row)), self._n_items).toarray())
