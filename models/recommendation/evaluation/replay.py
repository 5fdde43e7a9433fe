"""A shop's past in order of time: all say what comes before each action of a session, and learn it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from contracts.carts import CART, PURCHASE
from contracts.events import Event
from contracts.sessions import MARKS
from contracts.visitor import Action
from models.next_action.prefixes import actions_by_visitor
from models.recommendation.request import Step

CUT = 20
"""Places of a list that count."""
MISSED = 0
"""The rank of a product that is in no list."""
KINDS: tuple[str, ...] = ("view", "cart", "purchase")

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Past:
    """What a visitor did until now; `session` are the actions of the session that goes on, `steps` all."""

    visitor: str
    steps: list[Step] = field(default_factory=list)
    session: list[Action] = field(default_factory=list)
    number: int = 0
    """Of the session."""

    @property
    def latest(self) -> str:
        """The product of the latest action."""
        return self.steps[-1].product_id

    def add(self, action: Action) -> None:
        """Take in an action of the session that goes on."""
        self.steps.append(Step(action.product_id, MARKS[action.rank], action.at_ms))
        self.session.append(action)


class Pasts:
    """Those of all visitors; a pause of more than `idle_ms` ends a session."""

    def __init__(self, idle_ms: int) -> None:
        self._idle_ms = idle_ms
        self._pasts: dict[str, Past] = {}

    def before(self, visitor: str, at_ms: int) -> Past:
        """What the visitor did until this time; the session has nothing yet where a new one begins."""
        past = self._pasts.setdefault(visitor, Past(visitor))
        if past.session and at_ms - past.session[-1].at_ms > self._idle_ms:
            past.session = []
            past.number += 1
        return past


IsCase = Callable[[int, Past, Action], bool]
"""Whether an action, by its place, is a case; the past is that before it."""


class Contender(Protocol):
    """What says which product comes next, and learns from every action."""

    name: str

    def best(self, past: Past, now_ms: int) -> Sequence[str]:
        """At least `CUT` + 1 distinct products, as far as any are known, the likeliest first."""
        ...

    def learn(self, past: Past, action: Action) -> None:
        """Take in an action, which is the latest of `past` already."""
        ...


class Outcome(NamedTuple):
    """The cases in order of time. Ranks are by contender, (contenders, cases), `MISSED` beyond `CUT`.

    `without_latest` are ranks in lists from which the product of the latest action was taken.
    """

    names: tuple[str, ...]
    rank: Ints
    without_latest: Ints
    kind: Ints
    """Place in `KINDS` of what was done with the target."""
    repeats: npt.NDArray[np.bool_]
    """Whether the target is the product of the latest action."""
    session: Ints
    """Cases of one session belong together where samples are drawn."""


def actions_in_time(events: Iterable[Event]) -> list[tuple[str, Action]]:
    """Visitors and their actions with a product, in order of time."""
    return in_time(actions_by_visitor(events))


def in_time(by_visitor: Mapping[str, Sequence[Action]]) -> list[tuple[str, Action]]:
    """The same of the actions of each visitor."""
    found = [(visitor, action) for visitor, own in by_visitor.items() for action in own if action.product_id]
    return sorted(found, key=lambda one: one[1][:3])


def replay(
    actions: Sequence[tuple[str, Action]],
    contenders: Sequence[Contender],
    *,
    idle_ms: int,
    first: float = 0.0,
    last: float = 1.0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Outcome:
    """Ask and teach all contenders. Cases are actions between two shares of all, `first` and `last`.

    Every action of a session but its first is a case. Nothing is learnt before it was asked.
    """
    begin, end = int(first * len(actions)), int(last * len(actions))
    return replay_cases(
        actions[:end], contenders, lambda place, *_: place >= begin, idle_ms=idle_ms, progress=progress
    )


def replay_cases(
    actions: Sequence[tuple[str, Action]],
    contenders: Sequence[Contender],
    is_case: IsCase,
    *,
    idle_ms: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Outcome:
    """The same with the cases that `is_case` takes, of all actions of sessions but their first."""
    pasts = Pasts(idle_ms)
    sessions: dict[tuple[str, int], int] = {}
    rows: list[tuple[int, ...]] = []
    for place, (visitor, action) in enumerate(actions):
        past = pasts.before(visitor, action.at_ms)
        if past.session and is_case(place, past, action):
            about = sessions.setdefault((visitor, past.number), len(sessions))
            rows.append((about, _kind_of(action), *_ranks(contenders, past, action)))
        past.add(action)
        for contender in contenders:
            contender.learn(past, action)
        if place % 500 == 0:
            progress(place, len(actions))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3 + 2 * len(contenders))
    names = tuple(one.name for one in contenders)
    n = len(names)
    return Outcome(
        names,
        table[:, 3 : 3 + n].T,
        table[:, 3 + n :].T,
        table[:, 1],
        table[:, 2].astype(bool),
        table[:, 0],
    )


def _kind_of(action: Action) -> int:
    return 2 if action.rank == PURCHASE else 1 if action.rank == CART else 0


def _ranks(contenders: Sequence[Contender], past: Past, action: Action) -> Iterator[int]:
    target, latest = action.product_id, past.latest
    lists = [contender.best(past, action.at_ms) for contender in contenders]
    yield int(target == latest)
    yield from (_rank(best[:CUT], target) for best in lists)
    yield from (_rank([one for one in best[: CUT + 1] if one != latest][:CUT], target) for best in lists)


def _rank(best: Sequence[str], target: str) -> int:
    return best.index(target) + 1 if target in best else MISSED
