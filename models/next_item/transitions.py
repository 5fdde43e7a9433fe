"""Counts of what follows what: one row of weights for every item, mixed over the items of a prefix.

Markov chain, co-occurrence and sequential rules as in Ludewig and Jannach, Evaluation of session-based
recommendation algorithms, UMUAI 2018.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp

from models.next_item.model import Scores
from models.next_item.prefixes import flatten
from models.next_item.sessions import UNKNOWN, Codes, Sessions

_EVERYWHERE = 10_000
"""Pairs this many steps apart still count: more than a session has items."""


class Transitions:
    """Pairs of items of one session, counted from the earlier item to the later one."""

    def __init__(
        self,
        name: str,
        *,
        reach: int,
        weight: Callable[[int], float] = lambda _: 1.0,
        both_ways: bool = False,
        decay: float = 0.0,
    ) -> None:
        """Pairs up to `reach` steps apart count, those `gap` steps apart `weight(gap)` each.

        `both_ways`: from the later item to the earlier one too. `decay`: what an item of the prefix counts
        against the one after it; 0: only the latest counts.
        """
        self.name = name
        self._reach, self._weight, self._both_ways, self._decay = reach, weight, both_ways, decay

    def fit(self, sessions: Sessions) -> None:
        self._n_items = sessions.n_items
        self.counts = self._count(sessions)
        """(n_items, n_items): the weight of each pair, from row to column."""

    def learn(self, session: Codes) -> None:
        """Costs a pass over all counts."""
        ends = np.array([0, len(session)], dtype=np.int64)
        self.counts = self.counts + self._count(Sessions(session, ends, self._n_items))

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        steps = flatten(prefixes)
        if not self._decay:
            steps = steps.latest()
        rows = steps.as_rows(
            self._decay**steps.back if self._decay else np.ones(len(steps.row)), self._n_items
        )
        return np.asarray((rows @ self.counts).toarray())

    def _count(self, sessions: Sessions) -> sp.csr_array:
        items, session = sessions.items, sessions.session_of
        longest = int(np.diff(sessions.starts).max(initial=0))
        earlier, later, weights = [], [], []
        for gap in range(1, min(self._reach, longest - 1) + 1):
            first, second = items[:-gap], items[gap:]
            pair = (session[:-gap] == session[gap:]) & (first != UNKNOWN) & (second != UNKNOWN)
            earlier.append(first[pair])
            later.append(second[pair])
            weights.append(np.full(len(earlier[-1]), self._weight(gap), dtype=np.float32))
        shape = (self._n_items, self._n_items)
        if not earlier:
            return sp.csr_array(shape, dtype=np.float32)
        places = np.concatenate(earlier), np.concatenate(later)
        counts = sp.coo_array((np.concatenate(weights), places), shape=shape).tocsr()
        return sp.csr_array(counts + counts.T) if self._both_ways else counts


def markov() -> Transitions:
    """What came directly after the latest item."""
    return Transitions("markov", reach=1)


def sequential_rules() -> Transitions:
    """What came up to 10 steps after the latest item; a pair counts 1/steps."""
    return Transitions("sequential-rules", reach=10, weight=lambda gap: 1 / gap)


def last_cooccurrence() -> Transitions:
    """What was in the same sessions as the latest item."""
    return Transitions("cooccurrence-last", reach=_EVERYWHERE, both_ways=True)


def cooccurrence(decay: float = 0.8) -> Transitions:
    """What was in the same sessions as the items of the prefix."""
    return Transitions("cooccurrence", reach=_EVERYWHERE, both_ways=True, decay=decay)
