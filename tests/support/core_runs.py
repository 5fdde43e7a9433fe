"""One partition run through the steps in Python and through those compiled, every outcome compared."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

from contracts.alerts import Alert
from contracts.events import Event
from contracts.scores import Score, round_score
from contracts.visitor import Visitor, pack_visitor, unpack_visitor
from cores import core_named, exact
from shoppers import RULES
from stream.batch.core import PYTHON, Core
from stream.batch.step import BatchResult, Clock, Entry, StepSettings, fire_deadlines
from stream.components.deletions.component import Deletions

CHANCES = (0.05, 0.2, 0.4, 0.9)
LOW_SEED = 0
"""With this seed every visitor gets the lowest of `CHANCES`."""


class CoreRun:
    """One partition through one implementation of the steps."""

    def __init__(self, core: Core, rules: StepSettings = RULES) -> None:
        self.core = core
        self.rules = rules
        self.clock = Clock(0, 0)
        self.deletions = Deletions("")
        self.visitors: dict[str, Visitor] = {}
        self.timers: dict[str, int] = {}
        self.alerts: list[Alert] = []

    def apply(
        self, entries: list[Entry], *, scores_seed: int | None, forgotten: dict[str, int]
    ) -> BatchResult:
        screen = self.deletions.screen(forgotten)
        screens = [] if screen is None else [screen]
        outcome = self.core.apply_batch(self.clock, entries, self.visitors, self.rules, screens=screens)
        if scores_seed is not None:
            draw = random.Random(scores_seed)
            scores = {
                user: make_score(
                    visitor, draw, draw.choice(CHANCES[:1] if scores_seed == LOW_SEED else CHANCES)
                )
                for user, visitor in sorted(outcome.visitors.items())
            }
            self.core.take_scores(outcome, scores, RULES.alerts)
        return self._adopt(outcome)

    def pass_time(self, watermark_ms: int) -> BatchResult:
        due = sorted(user for user, at_ms in self.timers.items() if at_ms < watermark_ms)
        return self._adopt(fire_deadlines(self.clock, watermark_ms, due, self.visitors, self.rules))

    def _adopt(self, outcome: BatchResult) -> BatchResult:
        self.clock = outcome.clock
        self.visitors.update(outcome.visitors)
        self.alerts += outcome.prediction_results.alerts
        self.timers.update(outcome.timers)
        self.timers = {user: at_ms for user, at_ms in self.timers.items() if at_ms}
        return outcome


def make_score(visitor: Visitor, draw: random.Random, chance: float) -> Score:
    """A score of this very state."""
    head = visitor.head
    parts = [draw.random() for _ in range(5)]
    chances = tuple(part / sum(parts) for part in parts)
    return round_score(Score("m1", head.last_ms, sum(head.counts), head.number, chances, chance))


class CoreRuns:
    """The same partition through both implementations, every outcome compared."""

    def __init__(self, make_rules: Callable[[], StepSettings] = lambda: RULES) -> None:
        self.python = CoreRun(PYTHON, make_rules())
        self.compiled = CoreRun(core_named("compiled"), make_rules())

    def apply(
        self, entries: list[Entry], *, scores_seed: int | None = None, forgotten: dict[str, int] | None = None
    ) -> BatchResult:
        found = [
            run.apply(entries, scores_seed=scores_seed, forgotten=forgotten or {})
            for run in (self.python, self.compiled)
        ]
        return self._same(*found)

    def pass_time(self, watermark_ms: int) -> BatchResult:
        return self._same(self.python.pass_time(watermark_ms), self.compiled.pass_time(watermark_ms))

    def _same(self, expected: BatchResult, found: BatchResult) -> BatchResult:
        assert parts_of(found) == parts_of(expected)
        assert list(found.visitors) == list(expected.visitors)
        states = list(expected.visitors.values())
        blobs = [pack_visitor(state) for state in states]
        assert self.compiled.core.pack_visitors(found.visitors.values()) == blobs
        assert exact([unpack_visitor(blob) for blob in blobs]) == exact(states)
        return found


def parts_of(outcome: BatchResult) -> dict[str, Any]:
    """All of an outcome, types included."""
    parts = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    for name in ("counts", "prediction_results"):
        parts |= {f"{name}.{f.name}": getattr(parts[name], f.name) for f in dataclasses.fields(parts[name])}
        del parts[name]
    tally = parts.pop("prediction_results.tally")
    return {name: exact(part) for name, part in parts.items()} | {"tally": (tally.minutes, tally.errors)}


def entries_of(events: list[tuple[Event, int]]) -> list[Entry]:
    """Entries of events and how long after their event time each arrived (ms)."""
    return [Entry(i, e.event_time_ms, e.event_time_ms + late, e, None) for i, (e, late) in enumerate(events)]
