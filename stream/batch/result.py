"""What a batch comes to: new states and everything to be written, nothing of it written yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contracts.alerts import Alert
from contracts.customers import CustomerReport
from contracts.dead_letters import DeadLetter
from contracts.events import Event
from contracts.subjects import Subject
from contracts.visitor import Visitor
from stream.alerts.registry import AlertRules
from stream.batch.counts import Counts
from stream.batch.entries import Clock, Forward
from stream.scoring.predictions import PredictionResults, timer_of
from stream.state.writes import Write
from stream.visitors.session_counts import SessionDeltas

VISITOR_KIND = "visitor"
"""The kind of timers of visitors: their sessions' ends, and what alerts wait for."""


class NewEvents(NamedTuple):
    """One visitor's events not seen before, in the order of the batch, and the state before them."""

    user_id: str
    before: Visitor | None
    events: Sequence[Event]


class OutgoingRecord(NamedTuple):
    """A record for a topic (its plain name), published at least once, each time with the same id."""

    topic: str
    key: str
    record_id: str
    value: bytes


class Change(NamedTuple):
    """What a component adds to a commit; None as its state leaves it as it is.

    `values` are new values of subjects by id, None for one that is to be deleted. `timers` are by kind: id of
    a subject to the event time of its timer (ms), or 0 to clear it. Of each of `forget` nothing is kept.
    """

    state: Any = None
    writes: Sequence[Write] = ()
    values: Mapping[str, Any] = {}
    alerts: Sequence[Alert] = ()
    timers: Mapping[str, Mapping[str, int]] = {}
    counters: Mapping[str, int] = {}
    letters: Sequence[DeadLetter] = ()
    forget: Sequence[Subject] = ()
    records: Sequence[OutgoingRecord] = ()


NO_CHANGE = Change()


@dataclass(slots=True)
class BatchResult:
    """What a batch, some deadlines or some records of another topic come to."""

    clock: Clock
    before: Mapping[str, Visitor | None] = field(default_factory=dict)
    """The states before, of all visitors whom the batch or the deadlines are about."""
    prediction_results: PredictionResults = field(default_factory=PredictionResults)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    letters: list[DeadLetter] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    """Visitor to a deadline to set (ms), or 0 to clear."""
    new_events: list[NewEvents] = field(default_factory=list)
    """Only where a component asks for them."""
    changes: dict[str, Change] = field(default_factory=dict)
    """What components add, by their names."""
    forgotten: list[Subject] = field(default_factory=list)
    """Of whom nothing is kept."""
    records: list[OutgoingRecord] = field(default_factory=list)
    """For topics that components name."""
    reports: list[CustomerReport] = field(default_factory=list)
    """What is to be reported of logins to customers' partitions."""
    waited: set[str] = field(default_factory=set)
    """Visitors whom no event is of: an earlier round had no time to score them, and they are scored now."""

    def put(self, user_id: str, visitor: Visitor, rules: AlertRules) -> None:
        """Take the visitor's new state, and set the deadline if it is earlier than the one that stands.

        A deadline is not moved with every event: one that comes too early is set again when it has come.
        """
        due_ms = timer_of(visitor, rules)
        if due_ms and not 0 < visitor.timer_ms <= due_ms:
            self.timers[user_id] = due_ms
            visitor = visitor._replace(timer_ms=due_ms)
        self.visitors[user_id] = visitor

    def count(self, counter: str, number: int) -> None:
        """Add to one of the stream's counters; no counter appears for nothing."""
        if number:
            self.counters[counter] = self.counters.get(counter, 0) + number

    def count_sessions(self, deltas: SessionDeltas) -> None:
        """Add what changed in a visitor's sessions to the shop's counters."""
        for (minute_ms, metric), change in deltas.items():
            self.counts.add_shop(minute_ms, metric, change)

    def all_timers(self) -> dict[str, dict[str, int]]:
        """Timers by kind, those of visitors too: id of a subject to when it is due (ms), 0 to clear it."""
        found = {VISITOR_KIND: self.timers}
        for change in self.changes.values():
            for kind, timers in change.timers.items():
                found[kind] = {**found.get(kind, {}), **timers}
        return found

    def add(self, component: str, change: Change) -> None:
        """Take what a component adds. Its later change of the same batch comes on top of the earlier one."""
        for name, number in change.counters.items():
            self.count(name, number)
        self.letters += change.letters
        self.forgotten += change.forget
        self.records += change.records
        self.prediction_results.add(list(change.alerts))
        known = self.changes.get(component)
        self.changes[component] = change if known is None else _join(known, change)


def _join(first: Change, then: Change) -> Change:
    timers = {
        kind: {**first.timers.get(kind, {}), **then.timers.get(kind, {})}
        for kind in {**first.timers, **then.timers}
    }
    return Change(
        first.state if then.state is None else then.state,
        (*first.writes, *then.writes),
        {**first.values, **then.values},
        (*first.alerts, *then.alerts),
        timers,
    )
