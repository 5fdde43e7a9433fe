"""Items like those of the prefix: cosine of the sets of sessions that contain them.

Item-kNN as in Hidasi et al., Session-based recommendations with recurrent neural networks, ICLR 2016.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from models.next_item.model import Scores
from models.next_item.prefixes import flatten
from models.next_item.sessions import UNKNOWN, Codes, Sessions
from models.next_item.transitions import markov


class ItemNeighbours:
    """Mixes the rows of cosine similarities of the items of the prefix; an item is most like itself."""

    def __init__(self, name: str, *, decay: float = 0.0, markov_weight: float = 0.0) -> None:
        """`decay`: what an item of the prefix counts against the one after it; 0: only the latest counts.

        `markov_weight`: how much the probability to come directly after the latest item is added.
        """
        self.name = name
        self._decay, self._markov_weight = decay, markov_weight

    def fit(self, sessions: Sessions) -> None:
        self._n_items = sessions.n_items
        self._similar = cosine_similarities(session_sets(sessions))
        if self._markov_weight:
            self._following = _as_probabilities(sessions) * np.float32(self._markov_weight)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        steps = flatten(prefixes)
        latest = steps.latest()
        only = latest.as_rows(np.ones(len(latest.row)), self._n_items)
        rows = steps.as_rows(self._decay**steps.back, self._n_items) if self._decay else only
        mixed = rows @ self._similar
        if self._markov_weight:
            mixed = mixed + only @ self._following
        return np.asarray(mixed.toarray())


def session_sets(sessions: Sessions) -> sp.csr_array:
    """(sessions, n_items): 1 where an item occurs."""
    known = sessions.items != UNKNOWN
    places = sessions.session_of[known], sessions.items[known]
    sets = sp.coo_array(
        (np.ones(len(places[0]), dtype=np.float32), places), shape=(sessions.n_sessions, sessions.n_items)
    ).tocsr()
    sets.data[:] = 1.0
    return sets


def cosine_similarities(sets: sp.csr_array) -> sp.csr_array:
    """(n_items, n_items): sessions with both items over the geometric mean of those with either."""
    together = (sets.T @ sets).tocoo()
    size = np.sqrt(together.tocsr().diagonal())
    values = together.data / (size[together.row] * size[together.col])
    return sp.coo_array(
        (values.astype(np.float32), (together.row, together.col)), shape=together.shape
    ).tocsr()


def _as_probabilities(sessions: Sessions) -> sp.csr_array:
    model = markov()
    model.fit(sessions)
    total = np.maximum(model.counts.sum(axis=1), 1e-9)
    return sp.csr_array(sp.diags_array((1.0 / total).astype(np.float32)) @ model.counts)
