"""Visitors whom a round had no time to score, and who wait for a later one."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from contracts.subjects import SubjectKind
from contracts.visitor import Visitor
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from stream.batch.result import BatchResult

MOST_WAITING = 4_000
"""Visitors who wait in a partition for a slot at most."""
SUPERSEDED = "superseded"
"""Kind of states that were left unscored as the visitor acted again while waiting."""

Place = tuple[int, str]
"""Of a visitor: place of the partition's result in the round, and id."""


class Wait(NamedTuple):
    """Since when a visitor waits (monotonic clock), of what kind it is (`slots.Worth`), and the price level.

    The level is the one after the visitor's last batch: the score is what it would have been then.
    """

    since_s: float
    kind: str
    level: PriceLevel = UNKNOWN_LEVEL


class Waiting:
    """Who waits in a partition, by slot and id, longest first; each visitor once.

    Nothing else of them is kept: the state that is scored is the newest. It ends with the worker's hold of
    the partition. Whoever has it next scores them when they act.
    """

    def __init__(self) -> None:
        self._by_slot: dict[str, dict[str, Wait]] = {}

    def __bool__(self) -> bool:
        return any(self._by_slot.values())

    def of(self, slot: str) -> dict[str, Wait]:
        """Those who wait for one slot."""
        return self._by_slot.setdefault(slot, {})

    def let_go(self, ids: Collection[str]) -> dict[str, Counter[str]]:
        """Let visitors wait no longer; their number by slot and kind."""
        found = {}
        for slot, mine in self._by_slot.items():
            kinds = [mine.pop(id_).kind for id_ in mine.keys() & ids]
            if kinds:
                found[slot] = Counter(kinds)
        return found


class Queue(NamedTuple):
    """Who waits in a partition of a round, and what finds states of its visitors that are at hand."""

    waiting: Waiting
    known: Callable[[Iterable[str]], Mapping[str, Visitor]]


class Turn:
    """The visitors who wait for one slot in the partitions of a round: from its begin to its end.

    `left_out` counts, by kind, those who wait no longer and were not scored.
    """

    def __init__(self, slot: str, queues: Sequence[Queue], results: Sequence[BatchResult]) -> None:
        self._queues = queues
        self._results = results
        self._lines = [queue.waiting.of(slot) for queue in queues]
        self._called: list[Place] = []
        self._stay: set[Place] = set()
        self.left_out: Counter[str] = Counter()

    def begin(
        self, limit: int, selects: Callable[[Visitor], bool]
    ) -> dict[Place, tuple[Visitor, PriceLevel]]:
        """The newest states of those who have waited longest, `limit` at most, and their price levels.

        Who is in the round's results is asked about anyway. Who is not at hand any more, is forgotten or not
        to be asked about is let go.
        """
        for place, (line, result) in enumerate(zip(self._lines, self._results, strict=True)):
            again = line.keys() & result.visitors.keys()
            if again:
                self.left_out[SUPERSEDED] += len(again)
            self._called += [(place, user_id) for user_id in again]
            for user_id in line.keys() & _forgotten(result):
                self.left_out[line.pop(user_id).kind] += 1
        chosen: list[list[str]] = [[] for _ in self._lines]
        lines = [self._line(place) for place in range(len(self._lines))]
        for _, place, user_id in islice(merge(*lines), limit):
            chosen[place].append(user_id)
        found: dict[Place, tuple[Visitor, PriceLevel]] = {}
        for place, ids in enumerate(chosen):
            states = self._queues[place].known(ids)
            for user_id in ids:
                visitor = states.get(user_id)
                self._called.append((place, user_id))
                _, kind, level = self._lines[place][user_id]
                if visitor is None or not selects(visitor):
                    self.left_out[kind] += 1
                else:
                    found[place, user_id] = visitor, level
        return found

    def keep(self, key: Place, wait: Wait) -> bool:
        """Let a visitor wait; one that waits already keeps its place. Whether there is room."""
        place, user_id = key
        line = self._lines[place]
        known = line.get(user_id)
        if known is None and len(line) >= MOST_WAITING:
            return False
        line[user_id] = wait if known is None else wait._replace(since_s=known.since_s)
        self._stay.add(key)
        return True

    def waits(self, keys: Iterable[Place]) -> list[float]:
        """Since when each of these waits (monotonic clock)."""
        return [self._lines[place][user_id].since_s for place, user_id in keys]

    def end(self) -> None:
        """Let those go who had their turn and do not stay."""
        for place, user_id in self._called:
            if (place, user_id) not in self._stay:
                self._lines[place].pop(user_id, None)

    def _line(self, place: int) -> Iterator[tuple[float, int, str]]:
        visitors = self._results[place].visitors
        for user_id, wait in self._lines[place].items():
            if user_id not in visitors:
                yield wait.since_s, place, user_id


def _forgotten(result: BatchResult) -> set[str]:
    return {subject.id for subject in result.forgotten if subject.kind is SubjectKind.VISITOR}
