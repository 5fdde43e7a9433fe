"""Visitors to score: states as they are in the stream while the simulated shop is open."""

import itertools
import random
from collections.abc import Sequence
from typing import NamedTuple

from contracts.settings import Settings
from contracts.visitor import Visitor
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from producers.simulator.simulation import SimulationConfig, simulate
from stream.batch.step import Clock, Entry, StepSettings, apply_batch

FEWEST, MOST = 3, 30
"""Actions in the current session of a visitor that is taken."""
EVENTS = 20_000
START_MS = 1_700_000_000_000
RATE = 20.0
SHOPPERS = 5_000


class ScoredVisitor(NamedTuple):
    """A visitor, and the price level of the shop at that moment."""

    visitor: Visitor
    level: PriceLevel

    @property
    def actions(self) -> int:
        """Actions of the current session."""
        return sum(self.visitor.head.counts)


def make_scored_visitors(
    settings: Settings, number: int, *, events: int = EVENTS, seed: int = 7
) -> list[ScoredVisitor]:
    """`number` states, drawn from those right after an event; raises `ValueError` if there are fewer."""
    rules = StepSettings.of(settings)
    states: dict[str, Visitor | None] = {}
    clock, level = Clock(0, 0), UNKNOWN_LEVEL
    found: list[ScoredVisitor] = []
    config = SimulationConfig(start_ms=START_MS, rate=RATE, visitors=SHOPPERS, shaped=False)
    for offset, event in enumerate(itertools.islice(simulate(config, seed), events)):
        entry = Entry(offset, event.event_time_ms, event.event_time_ms, event, None)
        known = {event.user_id: states.get(event.user_id)}
        outcome = apply_batch(clock, [entry], known, rules)
        clock, level = outcome.clock, level.after_all(outcome.counts.prices)
        states.update(outcome.visitors)
        visitors = [ScoredVisitor(visitor, level) for visitor in outcome.visitors.values()]
        found += [subject for subject in visitors if FEWEST <= subject.actions <= MOST]
    if len(found) < number:
        raise ValueError(f"{events} events give {len(found)} visitors to score, {number} are wanted")
    return random.Random(seed).sample(found, number)


def mean_actions(visitors: Sequence[ScoredVisitor]) -> float:
    """Actions of the current session on the average."""
    return sum(subject.actions for subject in visitors) / len(visitors)
