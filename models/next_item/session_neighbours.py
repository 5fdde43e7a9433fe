"""Sessions like the prefix vote for their items: SKNN, V-SkNN, STAN and VSTAN.

SKNN and V-SkNN: Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018, the
latter in the form of VMIS-kNN (Kersbergen et al., Serenade, SIGMOD 2022). STAN: Garg et al., Sequence and
time aware neighborhood for session-based recommendations, SIGIR 2019. VSTAN: Ludewig et al., Empirical
analysis of session-based recommendation algorithms, UMUAI 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from models.next_item.model import Scores
from models.next_item.prefixes import Floats, Ints, Steps, flatten
from models.next_item.session_index import NeighbourItems, Neighbours, SessionIndex
from models.next_item.sessions import Codes, Sessions

_NOT_SHARED = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class NeighbourConfig:
    """What counts how much. A scale of None: it does not count."""

    k: int = 500
    """Neighbours that vote."""
    sessions_per_item: int = 2_500
    """So many of the most recent sessions with an item are looked at."""
    cosine: bool = True
    """Similarities are divided by the square root of the neighbour's distinct items."""
    steps_scale: float | None = None
    """An item of the prefix counts exp(-steps from its end / scale) in the similarity."""
    linear_steps: bool = False
    """Instead: its place / length of the prefix."""
    age_scale: float | None = None
    """A neighbour counts exp(-age / scale); ages are shares of the time, or of the sessions, of training."""
    distance_scale: float | None = None
    """An item of a neighbour counts exp(-places from the item shared last / scale)."""
    match_scale: float | None = None
    """A neighbour votes with exp(-steps from the prefix's end to the item shared last / scale)."""
    linear_match: bool = False
    """Instead: 1 - 0.1 x those steps, 0 from the tenth on."""
    idf_weight: float | None = None
    """Votes for an item count 1 + weight x log(sessions / sessions with it)."""
    current_weight: float = 1.0
    """Votes for the latest item itself count this much."""


SKNN = NeighbourConfig()
V_SKNN = NeighbourConfig(cosine=False, linear_steps=True, linear_match=True, idf_weight=1.0)
STAN = NeighbourConfig(steps_scale=1.0, age_scale=0.3, distance_scale=1.0)
VSTAN = NeighbourConfig(steps_scale=2.0, age_scale=0.3, distance_scale=2.0, match_scale=2.0, idf_weight=0.2)


class SessionNeighbours:
    """Session-kNN: similarity is the weighted overlap of the sets of items, votes are weighted as configured.

    A prefix's own time would scale all ages alike and change no ranking, so it is not asked for.
    """

    def __init__(self, name: str, config: NeighbourConfig) -> None:
        self.name, self.config = name, config

    def fit(self, sessions: Sessions) -> None:
        config = self.config
        self._index = index = SessionIndex(sessions, config.sessions_per_item)
        self._scale: Floats = np.ones(index.n_sessions)
        if config.cosine:
            self._scale = 1.0 / np.sqrt(np.maximum(index.sizes, 1))
        if config.age_scale is not None:
            self._scale = self._scale * np.exp(-_ages(sessions) / config.age_scale)
        self._item_weight = np.ones(index.n_items)
        if config.idf_weight is not None:
            rarity = np.log(index.n_sessions / np.maximum(index.sessions_with, 1))
            self._item_weight += config.idf_weight * rarity

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        steps = flatten(prefixes).distinct()
        lengths = np.array([len(prefix) for prefix in prefixes], dtype=np.int64)
        weights = steps.as_rows(self._step_weights(steps, lengths), self._index.n_items)
        neighbours = self._index.nearest(weights, self._scale, self.config.k)
        items = self._index.items_of(neighbours)
        votes = self._votes(steps, neighbours, items) * self._item_weight[items.item]
        places = neighbours.row[items.neighbour], items.item
        shape = (steps.n, self._index.n_items)
        scores = sp.coo_array((votes.astype(np.float32), places), shape=shape).toarray()
        latest = steps.latest()
        scores[latest.row, latest.item] *= np.float32(self.config.current_weight)
        return np.asarray(scores)

    def _step_weights(self, steps: Steps, lengths: Ints) -> Floats:
        if self.config.linear_steps:
            return np.asarray(1.0 - steps.back / lengths[steps.row])
        if self.config.steps_scale is not None:
            return np.asarray(np.exp(-steps.back / self.config.steps_scale))
        return np.ones(len(steps.row))

    def _votes(self, steps: Steps, neighbours: Neighbours, items: NeighbourItems) -> Floats:
        """What each item of each neighbour gets."""
        votes = neighbours.similarity[items.neighbour]
        config = self.config
        if not (config.linear_match or config.match_scale or config.distance_scale) or not len(votes):
            return votes
        # Steps back in the prefix of each item of a neighbour, and the least of these of each neighbour.
        back = np.full((steps.n, self._index.n_items), _NOT_SHARED, dtype=np.int32)
        back[steps.row, steps.item] = steps.back
        shared = back[neighbours.row[items.neighbour], items.item]
        starts = np.flatnonzero(np.append(True, np.diff(items.neighbour) > 0))
        match = np.minimum.reduceat(shared, starts)[items.neighbour]
        if config.linear_match:
            votes = votes * np.maximum(0.0, 1.0 - 0.1 * match)
        elif config.match_scale is not None:
            votes = votes * np.exp(-match / config.match_scale)
        if config.distance_scale is not None:
            own = np.where(shared == match, items.place, -1)
            anchor = np.maximum.reduceat(own, starts)[items.neighbour]
            votes = votes * np.exp(-np.abs(items.place - anchor) / config.distance_scale)
        return votes


def _ages(sessions: Sessions) -> Floats:
    """(sessions,): 0 for the latest, 1 for the first."""
    when: Floats = np.arange(sessions.n_sessions, dtype=np.float64)
    if sessions.at_ms is not None and len(sessions.items):
        starts = np.minimum(sessions.starts[:-1], len(sessions.items) - 1)
        when = sessions.at_ms[starts].astype(np.float64)
    return np.asarray((when.max() - when) / max(1.0, float(np.ptp(when)))) if len(when) else when
