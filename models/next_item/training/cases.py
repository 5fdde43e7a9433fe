"""Cases of the next item: every prefix of every session, and what came after it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import UNKNOWN, Codes, Sessions

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cases:
    """Places in the items of sessions: of the first item that is read, and of the target right behind."""

    sessions: Sessions
    first: Ints
    target_at: Ints

    def __len__(self) -> int:
        return len(self.target_at)

    @property
    def lengths(self) -> Ints:
        """How many items are read, at least 1."""
        return self.target_at - self.first

    @property
    def targets(self) -> Ints:
        """Item codes."""
        return self.sessions.items[self.target_at].astype(np.int64)

    def take(self, indices: Ints) -> "Cases":
        """Some of the cases."""
        return Cases(self.sessions, self.first[indices], self.target_at[indices])

    def rows(self) -> tuple[Ints, Ints]:
        """Item codes (n, time), left-aligned, padding 0, and lengths (n,)."""
        lengths = self.lengths
        steps = np.arange(int(lengths.max(initial=1)))
        places = np.minimum(self.first[:, None] + steps, self.target_at[:, None] - 1)
        rows = self.sessions.items[places].astype(np.int64)
        return np.where(steps < lengths[:, None], rows, 0), lengths

    def prefixes(self) -> list[Codes]:
        """What is read of each case."""
        items = self.sessions.items
        return [items[a:b] for a, b in zip(self.first, self.target_at, strict=True)]

    def weights(self, by_action: tuple[float, ...]) -> npt.NDArray[np.float32]:
        """How much each case counts (n,), by the action on its target; all 1 where actions are not known."""
        actions = self.sessions.actions
        if not by_action or actions is None:
            return np.ones(len(self), dtype=np.float32)
        return np.array(by_action, dtype=np.float32)[actions[self.target_at]]


def cases_of(sessions: Sessions, length: int) -> Cases:
    """Every prefix whose items and target are known; of a long one the newest `length` items."""
    starts = np.repeat(sessions.starts[:-1], np.diff(sessions.starts))
    places = np.arange(len(sessions.items))
    first = np.maximum(starts, places - length)
    unknown = np.cumsum(np.append(0, sessions.items == UNKNOWN))
    is_case = (places > starts) & (unknown[places + 1] == unknown[first])
    return Cases(sessions, first[is_case], places[is_case])
