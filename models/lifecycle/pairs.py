"""Two versions judged by the same answers: names of the counters in Redis, and the sums that they come to."""

import math
from collections.abc import Mapping
from typing import NamedTuple

MICRO = 1_000_000
"""Losses and squares are counted in millionths."""
SESSIONS, ANSWERS, DIFFERENCE, SQUARE = "sessions", "answers", "d", "d2"
ASKED, LATE = "asked", "late"
_CHAMPION, _OTHER, _HAPPENED = "c", "o", "h"


class PairSums(NamedTuple):
    """Sums over sessions. Losses are in nats and of all answers together, by task.

    `difference` sums, over the sessions, the loss of the other version less that of the champion, all tasks
    together, and `square` its squares. `happened` counts outcomes by task. Of `asked` questions the other
    version answered `late` ones too late to be kept.
    """

    sessions: int
    answers: int
    champion: tuple[float, ...]
    other: tuple[float, ...]
    difference: float
    square: float
    happened: Mapping[int, tuple[int, ...]]
    asked: int = 0
    late: int = 0

    def mean_loss(self, losses: tuple[float, ...]) -> float:
        """Of an answer, all tasks together."""
        return sum(losses) / self.answers

    @property
    def constant_loss(self) -> float | None:
        """Mean loss of the constant that knows how often everything happened in them; None: unknown."""
        if not self.happened or not self.answers:
            return None
        total = 0.0
        for counts in self.happened.values():
            n = sum(counts)
            total -= sum(count * math.log(count / n) for count in counts if count)
        return total / self.answers


def beside_key(slot: str) -> str:
    """The name in `Visitor.extra` of what waits to be judged for both versions; that of no slot."""
    return f"{slot}~"


def pair_name(slot: str, champion: str, other: str) -> str:
    """The name of a pair of versions of a slot."""
    return f"{slot}:{champion}~{other}"


def loss_counter(task: int, *, is_champion: bool) -> str:
    """The counter of the losses of one of the two at a task (its place)."""
    return f"{_CHAMPION if is_champion else _OTHER}{task}"


def outcome_counter(task: int, outcome: int) -> str:
    """The counter of an outcome of a task."""
    return f"{_HAPPENED}{task}.{outcome}"


def sums_of(counts: Mapping[str, int]) -> PairSums:
    """The sums in the counters of a pair, those of all partitions added up."""
    happened: dict[int, dict[int, int]] = {}
    for name, count in counts.items():
        if name.startswith(_HAPPENED):
            task, _, outcome = name[1:].partition(".")
            happened.setdefault(int(task), {})[int(outcome)] = count
    return PairSums(
        counts.get(SESSIONS, 0),
        counts.get(ANSWERS, 0),
        _losses(counts, _CHAMPION),
        _losses(counts, _OTHER),
        counts.get(DIFFERENCE, 0) / MICRO,
        counts.get(SQUARE, 0) / MICRO,
        {task: tuple(own[place] for place in sorted(own)) for task, own in sorted(happened.items())},
        counts.get(ASKED, 0),
        counts.get(LATE, 0),
    )


def _losses(counts: Mapping[str, int], start: str) -> tuple[float, ...]:
    tasks = sorted(int(name[1:]) for name in counts if name[:1] == start and name[1:].isdigit())
    return tuple(counts[f"{start}{task}"] / MICRO for task in tasks)
