"""Sessions as arrays of item codes: what next-item models learn from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.events import EventType

UNKNOWN = -1
"""The code of an item that training lacks."""
ACTIONS: tuple[str, ...] = (EventType.VIEW.value, EventType.CART.value, EventType.PURCHASE.value)
"""What is done with the items of a session; `Sessions.actions` has places in here."""

Codes = npt.NDArray[np.int32]


class Sessions(NamedTuple):
    """Sessions in order of time. Codes are 0 to `n_items` - 1; an item that training lacks is `UNKNOWN`."""

    items: Codes
    """Item codes of all sessions, one session after the other."""
    starts: npt.NDArray[np.int64]
    """(sessions + 1,): session `i` is `items[starts[i] : starts[i + 1]]`."""
    n_items: int
    actions: npt.NDArray[np.int8] | None = None
    """What was done with each item, as a place in `ACTIONS`; None: the data do not say."""
    at_ms: npt.NDArray[np.int64] | None = None
    """When; None: only the order of the sessions is known."""

    @property
    def n_sessions(self) -> int:
        return len(self.starts) - 1

    @property
    def session_of(self) -> npt.NDArray[np.int64]:
        """(events,): the session of each item."""
        return np.repeat(np.arange(self.n_sessions), np.diff(self.starts))

    def each(self) -> Iterator[Codes]:
        """The item codes of every session."""
        return (self.items[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))


def sessions_of(lists: Sequence[Sequence[int]], n_items: int) -> Sessions:
    """Sessions of codes in order of time, without actions and times."""
    starts = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return Sessions(np.array([code for one in lists for code in one], dtype=np.int32), starts, n_items)
