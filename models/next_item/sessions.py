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


def collapse_repeats(sessions: Sessions) -> Sessions:
    """The same without items that repeat the item before them in their session: the first of a run stays."""
    keep = np.ones(len(sessions.items), dtype=bool)
    keep[1:] = sessions.items[1:] != sessions.items[:-1]
    keep[sessions.starts[:-1][np.diff(sessions.starts) > 0]] = True
    return _keep_items(sessions, keep)


def split_by_time(sessions: Sessions, held_back: float) -> tuple[Sessions, Sessions]:
    """The earlier sessions and the latest share of them, by their starts, in the same codes.

    What happens in the first part after the other has begun is left out. Raises `ValueError` if a part would
    be empty.
    """
    border = sessions.n_sessions - int(held_back * sessions.n_sessions)
    if not 0 < border < sessions.n_sessions:
        raise ValueError(
            f"a share of {held_back:g} of {sessions.n_sessions} sessions leaves none on one side of the split"
        )
    first, second = _part(sessions, 0, border), _part(sessions, border, sessions.n_sessions)
    if first.at_ms is not None and second.at_ms is not None:
        first = _keep_items(first, first.at_ms < second.at_ms[0])
    return first, second


def code_catalogue(sessions: Sessions) -> tuple[Sessions, Codes]:
    """The same in codes of the items that occur, and the new code of every old one, `UNKNOWN` if none."""
    occurring = np.unique(sessions.items)
    code_of = np.full(sessions.n_items, UNKNOWN, dtype=np.int32)
    code_of[occurring] = np.arange(len(occurring), dtype=np.int32)
    return sessions._replace(items=code_of[sessions.items], n_items=len(occurring)), code_of


def _part(sessions: Sessions, first: int, end: int) -> Sessions:
    low, high = sessions.starts[first], sessions.starts[end]
    return Sessions(
        sessions.items[low:high],
        sessions.starts[first : end + 1] - low,
        sessions.n_items,
        None if sessions.actions is None else sessions.actions[low:high],
        None if sessions.at_ms is None else sessions.at_ms[low:high],
    )


def _keep_items(sessions: Sessions, keep: npt.NDArray[np.bool_]) -> Sessions:
    kept_before = np.append(0, np.cumsum(keep))
    return Sessions(
        sessions.items[keep],
        kept_before[sessions.starts],
        sessions.n_items,
        None if sessions.actions is None else sessions.actions[keep],
        None if sessions.at_ms is None else sessions.at_ms[keep],
    )
