"""What is asked: prefixes of sessions, and the item that came next."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import UNKNOWN, Codes, Sessions

Ints = npt.NDArray[np.int64]


class Cases(NamedTuple):
    """Prefix `i` is `items[first[i] : last[i] + 1]`, followed by `target[i]`; prefixes may overlap."""

    items: Codes
    first: Ints
    last: Ints
    target: Codes
    session: Ints
    """Cases of one session belong together where samples are drawn."""
    action: npt.NDArray[np.int8] | None = None
    """What was done with the target, as a place in `ACTIONS`; None: the data do not say."""

    @property
    def n_cases(self) -> int:
        return len(self.target)

    @property
    def length(self) -> Ints:
        """How many items each prefix has."""
        return self.last - self.first + 1

    def prefixes(self, start: int, end: int) -> list[Codes]:
        """The prefixes of some cases in a row."""
        bounds = zip(self.first[start:end], self.last[start:end], strict=True)
        return [self.items[a : b + 1] for a, b in bounds]

    def take(self, which: npt.NDArray[np.bool_] | Ints) -> "Cases":
        """Some of the cases."""
        action = None if self.action is None else self.action[which]
        return Cases(
            self.items, self.first[which], self.last[which], self.target[which], self.session[which], action
        )


def cases_of(sessions: Sessions) -> Cases:
    """Every item of every session but the first is asked for."""
    start = sessions.starts[sessions.session_of]
    place = np.flatnonzero(np.arange(len(sessions.items)) > start)
    action = None if sessions.actions is None else sessions.actions[place]
    return Cases(
        sessions.items, start[place], place - 1, sessions.items[place], sessions.session_of[place], action
    )


def cases_of_pairs(prefixes: Sequence[Codes], targets: Codes) -> Cases:
    """Cases that come as pairs, the prefixes of a session one after the other, growing or shrinking."""
    ends = np.cumsum([len(prefix) for prefix in prefixes], dtype=np.int64)
    first = np.append(0, ends[:-1]) if len(ends) else ends
    items = np.concatenate(prefixes) if len(prefixes) else np.empty(0, dtype=np.int32)
    follows = [_is_start(a, b) or _is_start(b, a) for a, b in pairwise(prefixes)]
    session = np.cumsum(np.append(False, ~np.array(follows, dtype=bool)))[: len(prefixes)]
    return Cases(items, first, ends - 1, targets, session.astype(np.int64))


def collapse_cases(cases: Cases) -> Cases:
    """The same without repeats of the item before: in prefixes, and as a target."""
    keep = np.ones(len(cases.items), dtype=bool)
    keep[1:] = cases.items[1:] != cases.items[:-1]
    keep[cases.first] = True
    place = np.cumsum(keep) - 1
    moved = cases._replace(items=cases.items[keep], first=place[cases.first], last=place[cases.last])
    return moved.take(cases.target != cases.items[cases.last])


def code_cases(cases: Cases, code_of: Codes) -> Cases:
    """The same in other codes: `code_of` has the new code of every old one."""
    return cases._replace(items=_recode(cases.items, code_of), target=_recode(cases.target, code_of))


def _recode(items: Codes, code_of: Codes) -> Codes:
    return np.where(items == UNKNOWN, np.int32(UNKNOWN), code_of[items])


def _is_start(prefix: Codes, longer: Codes) -> bool:
    return len(prefix) < len(longer) and np.array_equal(prefix, longer[: len(prefix)])
