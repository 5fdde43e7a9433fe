"""The pure batch step: one partition's state after a run of records, and what must be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.events import Event
from contracts.keys import Metric, bucket_start
from contracts.settings import Settings
from contracts.visitor import Visitor, action_of, digest_of, is_seen, visitor_of
from stream.demand import DemandCounter, DemandDeltas
from stream.session import MAX_ORDERS, MAX_SEEN_BYTES, PURCHASE, SessionRules, absorb, end_session
from stream.session_counts import SessionDeltas


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings the step depends on."""

    session: SessionRules
    lateness_ms: int
    half_life_ms: int

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The rules in the settings."""
        return cls(
            SessionRules(settings.idle_ms, settings.disorder_ms),
            settings.lateness_ms,
            settings.trend_half_life_s * 1_000,
        )


class Clock(NamedTuple):
    """Time of a partition: newest event time applied, and broker timestamp of the newest record (ms).

    Event time beyond the broker's timestamp is a sender's wrong clock: it does not move `max_event_ms`.
    """

    max_event_ms: int
    broker_ms: int


class Entry(NamedTuple):
    """One record on its way through the stream: an event, or the dead letter it became."""

    offset: int
    at_ms: int
    broker_ms: int
    event: Event | None
    letter: DeadLetter | None


@dataclass(slots=True)
class Outcome:
    """What a batch comes to: new states and everything to be added, nothing of it written yet."""

    clock: Clock
    visitors: dict[str, Visitor] = field(default_factory=dict)
    demand: DemandDeltas = field(default_factory=DemandDeltas)
    letters: list[DeadLetter] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    """Visitor to a deadline to set (ms), or 0 to clear."""

    def count(self, counter: str, number: int) -> None:
        """Add to one of the stream's counters; no counter appears for nothing."""
        if number:
            self.counters[counter] = self.counters.get(counter, 0) + number

    def count_sessions(self, deltas: SessionDeltas) -> None:
        """Add what changed in a visitor's sessions to the shop's counters."""
        for (minute_ms, metric), change in deltas.items():
            self.demand.add_shop(minute_ms, metric, change)


def apply_batch(
    clock: Clock, entries: Sequence[Entry], visitors: Mapping[str, Visitor | None], rules: Rules
) -> Outcome:
    """The outcome of `entries` for a partition at `clock`.

    `visitors` holds the state of every visitor in the entries (None: unknown). An event whose id the
    visitor's state has seen is a duplicate and changes nothing; one more than `lateness_ms` behind the
    watermark is counted as late and changes nothing else.
    """
    outcome = Outcome(clock)
    demand = DemandCounter(outcome.demand, rules.half_life_ms)
    applied = on_time = 0
    for user_id, events in _group(outcome, entries, rules.session.disorder_ms + rules.lateness_ms).items():
        on_time += len(events)
        applied += _apply_events(outcome, demand, user_id, visitors.get(user_id), events, rules.session)
    outcome.count("applied", applied)
    outcome.count("duplicates", on_time - applied)
    demand.settle()
    return outcome


def _group(outcome: Outcome, entries: Sequence[Entry], slack_ms: int) -> dict[str, list[Event]]:
    """Events by visitor, in the order of the entries; the outcome gets the clock, letters and late events."""
    max_event_ms, broker_ms = outcome.clock
    grouped: dict[str, list[Event]] = {}
    late = 0
    for _, at_ms, record_ms, event, letter in entries:
        if record_ms > broker_ms:
            broker_ms = record_ms
        if event is None:
            if letter is not None:
                outcome.letters.append(letter)
            continue
        moment = at_ms if at_ms < record_ms else record_ms
        if moment > max_event_ms:
            max_event_ms = moment
        elif at_ms < max_event_ms - slack_ms:
            late += 1
            continue
        events = grouped.get(event.user_id)
        if events is None:
            grouped[event.user_id] = [event]
        else:
            events.append(event)
    outcome.clock = Clock(max_event_ms, broker_ms)
    outcome.count("late", late)
    outcome.count("rejected", len(outcome.letters))
    return grouped


def _apply_events(
    outcome: Outcome,
    demand: DemandCounter,
    user_id: str,
    visitor: Visitor | None,
    events: list[Event],
    rules: SessionRules,
) -> int:
    """One visitor's events: those not seen before are counted and change the state; returns their number."""
    seen = b"" if visitor is None else visitor.seen
    orders = {} if visitor is None else visitor.orders
    actions = []
    for event in events:
        event_id, kind, at_ms, _, product, session, price, currency, quantity, category, brand, _, _ = event
        digest = digest_of(event_id)
        if digest in seen and is_seen(seen, digest):
            continue
        seen += digest
        rank = kind.rank
        actions.append(
            action_of((at_ms, rank, digest, product, quantity, price, currency, category, brand, session))
        )
        if rank == PURCHASE:
            orders = _count_order(outcome, orders, event)
    if not actions:
        return 0
    demand.count(actions)
    after, deltas = absorb(visitor, actions, rules)
    outcome.count_sessions(deltas)
    totals, base, head, tail, ended, timer_ms, _, _, outlook = after
    if not timer_ms and not ended:
        timer_ms = outcome.timers[user_id] = head.last_ms + rules.idle_ms
    outcome.visitors[user_id] = visitor_of(
        (totals, base, head, tail, ended, timer_ms, seen[-MAX_SEEN_BYTES:], orders, outlook)
    )
    return len(actions)


def fire_deadlines(
    clock: Clock, watermark_ms: int, due: Sequence[str], visitors: Mapping[str, Visitor | None], rules: Rules
) -> Outcome:
    """The outcome of the deadlines of the visitors in `due` at this watermark.

    A deadline is set once per session and not moved with every event, so one that has come may find that the
    visitor acted since: then it is set again for the end that the session has now.
    """
    outcome = Outcome(clock)
    idle_ms = rules.session.idle_ms
    for user_id in due:
        visitor = visitors.get(user_id)
        if visitor is None:
            outcome.timers[user_id] = 0
            continue
        end_ms = visitor.head.last_ms + idle_ms
        if end_ms >= watermark_ms:
            outcome.timers[user_id] = end_ms
            outcome.visitors[user_id] = visitor._replace(timer_ms=end_ms)
            continue
        ended, deltas = end_session(visitor, idle_ms=idle_ms)
        outcome.timers[user_id] = 0
        outcome.visitors[user_id] = ended._replace(timer_ms=0)
        outcome.count_sessions(deltas)
    return outcome


def _count_order(outcome: Outcome, orders: dict[bytes, int], event: Event) -> dict[bytes, int]:
    """Count the order of this line once, in the minute of its earliest line; returns all known orders.

    Lines without an `order_id` are one order if the same visitor bought them in the same millisecond.
    """
    at_ms = event.event_time_ms
    order = digest_of(event.order_id if event.order_id is not None else f"@{at_ms}")
    known_ms = orders.get(order)
    if known_ms is not None and known_ms <= at_ms:
        return orders
    if known_ms is not None:
        outcome.demand.add_shop(bucket_start(known_ms, "minute"), Metric.ORDERS, -1)
    outcome.demand.add_shop(bucket_start(at_ms, "minute"), Metric.ORDERS, 1)
    return _newest(orders | {order: at_ms}, MAX_ORDERS)


def _newest(entries: dict[bytes, int], limit: int) -> dict[bytes, int]:
    """The last `limit` entries in order of insertion."""
    if len(entries) <= limit:
        return entries
    return dict(list(entries.items())[-limit:])
