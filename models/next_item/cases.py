"""Cases of the next item: prefixes of sessions, and the item that came next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import UNKNOWN, Codes, Sessions

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cases:
    """Prefix `i` is `items[first[i] : last[i] + 1]`, followed by `targets[i]`; prefixes may overlap."""

    items: Codes
    first: Ints
    last: Ints
    targets: Codes
    session: Ints
    """Cases of one session belong together where samples are drawn."""
    actions: npt.NDArray[np.int8] | None = None
    """What was done with each target, as a place in `ACTIONS`; None: the data do not say."""

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> Ints:
        """How many items each prefix has."""
        return self.last - self.first + 1

    def prefixes(self) -> list[Codes]:
        """The prefixes of all cases."""
        return [self.items[a : b + 1] for a, b in zip(self.first, self.last, strict=True)]

    def rows(self) -> tuple[Ints, Ints]:
        """Item codes (n, time), left-aligned, padding 0, and lengths (n,)."""
        lengths = self.lengths
        steps = np.arange(int(lengths.max(initial=1)))
        places = np.minimum(self.first[:, None] + steps, self.last[:, None])
        return np.where(steps < lengths[:, None], self.items[places].astype(np.int64), 0), lengths

    def weights(self, by_action: tuple[float, ...]) -> npt.NDArray[np.float32]:
        """How much each case counts (n,), by the action on its target; all 1 where actions are not known."""
        if not by_action or self.actions is None:
            return np.ones(len(self), dtype=np.float32)
        return np.array(by_action, dtype=np.float32)[self.actions]

    def take(self, which: slice | npt.NDArray[np.bool_] | Ints) -> "Cases":
        """Some of the cases."""
        return replace(
            self,
            first=self.first[which],
            last=self.last[which],
            targets=self.targets[which],
            session=self.session[which],
            actions=None if self.actions is None else self.actions[which],
        )

    def spread(self, most: int) -> "Cases":
        """At most so many of the cases, evenly from all."""
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).astype(np.int64))

    def recoded(self, code_of: Codes) -> "Cases":
        """The same in other codes: `code_of` has the new code of every old one."""
        return replace(self, items=_recode(self.items, code_of), targets=_recode(self.targets, code_of))


def cases_of(sessions: Sessions) -> Cases:
    """Every item of every session but the first is asked for."""
    start = sessions.starts[sessions.session_of]
    place = np.flatnonzero(np.arange(len(sessions.items)) > start)
    actions = None if sessions.actions is None else sessions.actions[place]
    return Cases(
        sessions.items, start[place], place - 1, sessions.items[place], sessions.session_of[place], actions
    )


def known_cases_of(sessions: Sessions, length: int) -> Cases:
    """Every prefix, of a long one the newest `length` items, if all that is read and the target are known."""
    cases = cases_of(sessions)
    cases = replace(cases, first=np.maximum(cases.first, cases.last + 1 - length))
    unknown = np.cumsum(np.append(0, cases.items == UNKNOWN))
    read = unknown[cases.last + 1] == unknown[cases.first]
    return cases.take(read & (cases.targets != UNKNOWN))


def cases_of_pairs(prefixes: Sequence[Codes], targets: Codes) -> Cases:
    """Cases that come as pairs, the prefixes of a session one after the other, growing or shrinking."""
    ends = np.cumsum([len(prefix) for prefix in prefixes], dtype=np.int64)
    first = np.append(0, ends[:-1]) if len(ends) else ends
    items = np.concatenate(prefixes) if len(prefixes) else np.empty(0, dtype=np.int32)
    follows = [_is_start(a, b) or _is_start(b, a) for a, b in pairwise(prefixes)]
    session = np.cumsum(np.append(False, ~np.array(follows, dtype=bool)))[: len(prefixes)]
    return Cases(items, first, ends - 1, targets, session.astype(np.int64))


def take_out_unknown(cases: Cases, is_known: npt.NDArray[np.bool_]) -> Cases:
    """The cases of the same sessions without items that are not known: in prefixes, and as a target.

    `is_known` (items,), by code.
    """
    keep = is_known[cases.items]
    before = np.append(0, np.cumsum(keep))
    moved = replace(
        cases, items=cases.items[keep], first=before[cases.first], last=before[cases.last + 1] - 1
    )
    return moved.take((moved.last >= moved.first) & is_known[cases.targets])


def collapse_cases(cases: Cases) -> Cases:
    """The same without repeats of the item before: in prefixes, and as a target."""
    keep = np.ones(len(cases.items), dtype=bool)
    keep[1:] = cases.items[1:] != cases.items[:-1]
    keep[cases.first] = True
    place = np.cumsum(keep) - 1
    moved = replace(cases, items=cases.items[keep], first=place[cases.first], last=place[cases.last])
    return moved.take(cases.targets != cases.items[cases.last])


def _recode(items: Codes, code_of: Codes) -> Codes:
    return np.where(items == UNKNOWN, np.int32(UNKNOWN), code_of[items])


def _is_start(prefix: Codes, longer: Codes) -> bool:
    return len(prefix) < len(longer) and np.array_equal(prefix, longer[: len(prefix)])
