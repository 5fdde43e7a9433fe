"""Sessions by item, and those most like a prefix: what all session neighbours share."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from models.next_item.item_neighbours import session_sets
from models.next_item.prefixes import Floats, Ints
from models.next_item.sessions import UNKNOWN, Codes, Sessions

_RECENT_FIRST = 1e-9
"""Of sessions that are equally like a prefix the most recent ones are taken."""


class Neighbours(NamedTuple):
    """The neighbours of n prefixes, prefix by prefix."""

    row: Ints
    session: Ints
    similarity: Floats


class NeighbourItems(NamedTuple):
    """The items of neighbours, neighbour by neighbour."""

    neighbour: Ints
    """Place in `Neighbours`."""
    item: Codes
    place: Ints
    """Place in its session, from 0; of an item that repeats, the last."""


class SessionIndex:
    """Finds sessions by item: of each item the most recent ones that contain it."""

    def __init__(self, sessions: Sessions, sessions_per_item: int) -> None:
        self.n_sessions, self.n_items = sessions.n_sessions, sessions.n_items
        self._items, self._places, self._starts = _distinct_items(sessions)
        self.sizes = np.diff(self._starts)
        """(sessions,): distinct items of each."""
        by_item = session_sets(sessions).T.tocsr()
        by_item.sort_indices()
        self.sessions_with = np.diff(by_item.indptr)
        """(n_items,): sessions that contain each item."""
        self._by_item = _last_of_each_row(by_item, sessions_per_item)

    def nearest(self, weights: sp.csr_array, scale: Floats, k: int) -> Neighbours:
        """The `k` sessions with the highest scale x sum of the weights of the items they share with a prefix.

        `weights`: (n, n_items); `scale`: (sessions,), above 0.
        """
        found = (weights @ self._by_item).tocsr()
        similarity = found.data * scale[found.indices]
        order = similarity * (1.0 + _RECENT_FIRST * found.indices)
        bounds = zip(found.indptr[:-1], found.indptr[1:], strict=True)
        parts = [
            np.arange(a, b) if b - a <= k else a + np.argpartition(order[a:b], b - a - k)[-k:]
            for a, b in bounds
        ]
        taken = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
        row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return Neighbours(row, found.indices[taken].astype(np.int64), similarity[taken])

    def items_of(self, neighbours: Neighbours) -> NeighbourItems:
        """All distinct items of the neighbours."""
        size = self.sizes[neighbours.session]
        neighbour = np.repeat(np.arange(len(size)), size)
        offset = np.arange(len(neighbour)) - np.repeat(np.cumsum(size) - size, size)
        place = np.repeat(self._starts[neighbours.session], size) + offset
        return NeighbourItems(neighbour, self._items[place], self._places[place])


def _distinct_items(sessions: Sessions) -> tuple[Codes, Ints, Ints]:
    """Each known item of a session once, with its last place there, and where each session starts."""
    session = sessions.session_of
    known = sessions.items != UNKNOWN
    key = session * (sessions.n_items + 1) + sessions.items
    _, from_end = np.unique(key[::-1], return_index=True)
    last = np.sort(len(key) - 1 - from_end)
    last = last[known[last]]
    starts = np.searchsorted(session[last], np.arange(sessions.n_sessions + 1))
    return sessions.items[last], last - sessions.starts[session[last]], starts


def _last_of_each_row(rows: sp.csr_array, most: int) -> sp.csr_array:
    size = np.diff(rows.indptr)
    from_end = np.repeat(rows.indptr[1:], size) - np.arange(len(rows.indices))
    keep = from_end <= most
    ends = np.append(0, np.cumsum(np.minimum(size, most)))
    return sp.csr_array((rows.data[keep].astype(np.float64), rows.indices[keep], ends), shape=rows.shape)
