"""Two versions judged by the same answers: what a session adds to the counters of a pair, and their sums."""

import math
from collections.abc import Mapping
from typing import NamedTuple

MICRO = 1_000_000
"""Losses and squares are counted in millionths."""
SESSIONS, ANSWERS, DIFFERENCE, SQUARE = "sessions", "answers", "d", "d2"
ASKED, LATE = "asked", "late"
_CHAMPION, _OTHER, _HAPPENED, _BASE = "c", "o", "h", "base"


class SessionPair(NamedTuple):
    """What a session came to: `n` answers, and the losses of both versions by task, summed.

    `happened` counts what came, by task and outcome; empty where that is not known. `base` is the loss of
    base rates, all tasks together, where it does not follow from what happened.
    """

    n: int
    champion: tuple[float, ...]
    other: tuple[float, ...]
    happened: Mapping[tuple[int, int], int] = {}
    base: float | None = None


def counts_of(session: SessionPair) -> dict[str, int]:
    """What a session adds to the counters of its pair."""
    difference = sum(session.other) - sum(session.champion)
    counts = {
        SESSIONS: 1,
        ANSWERS: session.n,
        DIFFERENCE: round(difference * MICRO),
        SQUARE: round(difference**2 * MICRO),
    }
    for losses, is_champion in ((session.champion, True), (session.other, False)):
        for task, loss in enumerate(losses):
            counts[loss_counter(task, is_champion=is_champion)] = round(loss * MICRO)
    for (task, outcome), n in session.happened.items():
        counts[outcome_counter(task, outcome)] = n
    if session.base is not None:
        counts[_BASE] = round(session.base * MICRO)
    return counts


class PairSums(NamedTuple):
    """Sums over sessions. Losses are of all answers together, by task, in nats or what the slot has.

    `difference` sums, over the sessions, the loss of the other version less that of the champion, all tasks
    together, and `square` its squares. `happened` counts outcomes by task. Of `asked` questions the other
    version answered `late` ones too late to be kept. `base` is the loss of base rates where it was counted.
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
    base: float | None = None

    def mean_loss(self, losses: tuple[float, ...]) -> float:
        """Of an answer, all tasks together."""
        return sum(losses) / self.answers

    @property
    def constant_loss(self) -> float | None:
        """Mean loss of base rates; None: unknown.

        Unless it was counted, that of the constant that knows how often everything happened in them.
        """
        if self.base is not None and self.answers:
            return self.base / self.answers
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
        counts[_BASE] / MICRO if _BASE in counts else None,
    )


def _losses(counts: Mapping[str, int], start: str) -> tuple[float, ...]:
    tasks = sorted(int(name[1:]) for name in counts if name[:1] == start and name[1:].isdigit())
    return tuple(counts[f"{start}{task}"] / MICRO for task in tasks)
