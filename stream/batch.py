"""The pure batch step: one partition's state after a run of records, and what must be written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.events import Event
from contracts.keys import Metric, bucket_start
from contracts.settings import Settings
from contracts.visitor import DIGEST_BYTES, Action, Visitor, digest_of, is_seen
from stream.demand import DemandCounter, DemandDeltas
from stream.session import MAX_ORDERS, MAX_SEEN, PURCHASE, SessionRules, absorb, end_session


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
    counters: Counter[str] = field(default_factory=Counter)
    timers: dict[str, int] = field(default_factory=dict)
    """Visitor to a deadline to set (ms), or 0 to clear."""


def apply_batch(
    clock: Clock, entries: Sequence[Entry], visitors: Mapping[str, Visitor | None], rules: Rules
) -> Outcome:
    """The outcome of `entries` for a partition at `clock`.

    `visitors` holds the state of every visitor in the entries (None: unknown). An event whose id the
    visitor's state has seen is a duplicate and changes nothing; one more than `lateness_ms` behind the
    watermark is counted as late and changes nothing else.
    """
    outcome = Outcome(clock)
    max_event_ms, broker_ms = clock
    latest_slack = rules.session.disorder_ms + rules.lateness_ms
    grouped: dict[str, _Work] = {}
    demand = DemandCounter(outcome.demand, rules.half_life_ms)
    counters = outcome.counters
    for entry in entries:
        _, at_ms, record_ms, event, letter = entry
        if record_ms > broker_ms:
            broker_ms = record_ms
        if event is None:
            if letter is not None:
                outcome.letters.append(letter)
                counters["rejected"] += 1
            continue
        moment = at_ms if at_ms < record_ms else record_ms
        if moment > max_event_ms:
            max_event_ms = moment
        elif at_ms < max_event_ms - latest_slack:
            counters["late"] += 1
            continue
        user_id = event.user_id
        work = grouped.get(user_id)
        if work is None:
            work = grouped[user_id] = _Work(visitors.get(user_id))
        digest = digest_of(event.event_id)
        if is_seen(work.seen, digest):
            counters["duplicates"] += 1
            continue
        work.seen += digest
        rank = event.event_type.rank
        _, _, _, _, product, session_id, price, currency, quantity, category, brand, _, _ = event
        work.actions.append(
            _new_action(
                (at_ms, rank, digest, product, quantity, price, currency, category, brand, session_id)
            )
        )
        demand.count(at_ms, rank, product, quantity, price, currency)
        if rank == PURCHASE:
            _count_order(outcome, work, event, at_ms)
    outcome.clock = Clock(max_event_ms, broker_ms)
    for user_id, work in grouped.items():
        if work.actions:
            counters["applied"] += len(work.actions)
            _settle_visitor(outcome, user_id, work, rules.session)
    return outcome


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
        for (minute, metric), change in deltas.items():
            outcome.demand.add_shop(minute, metric, change)
    return outcome


_new_action = partial(tuple.__new__, Action)  # half the time of calling Action


class _Work:
    """A visitor's share of a batch: copies of what the batch changes."""

    __slots__ = ("actions", "orders", "seen", "visitor")

    def __init__(self, visitor: Visitor | None) -> None:
        self.visitor = visitor
        self.seen = b"" if visitor is None else visitor.seen
        self.orders: dict[bytes, int] | None = None
        self.actions: list[Action] = []


def _count_order(outcome: Outcome, work: _Work, event: Event, at_ms: int) -> None:
    """Count the order of this line once, in the minute of its earliest line.

    Lines without an `order_id` are one order if the same visitor bought them in the same millisecond.
    """
    if work.orders is None:
        work.orders = {} if work.visitor is None else dict(work.visitor.orders)
    order = digest_of(event.order_id if event.order_id is not None else f"@{at_ms}")
    known_ms = work.orders.get(order)
    if known_ms is not None and known_ms <= at_ms:
        return
    if known_ms is not None:
        outcome.demand.add_shop(bucket_start(known_ms, "minute"), Metric.ORDERS, -1)
    work.orders[order] = at_ms
    outcome.demand.add_shop(bucket_start(at_ms, "minute"), Metric.ORDERS, 1)


def _settle_visitor(outcome: Outcome, user_id: str, work: _Work, rules: SessionRules) -> None:
    visitor, deltas = absorb(work.visitor, work.actions, rules)
    for (minute, metric), change in deltas.items():
        outcome.demand.add_shop(minute, metric, change)
    timer_ms = visitor.timer_ms
    if not timer_ms and not visitor.ended:
        timer_ms = outcome.timers[user_id] = visitor.head.last_ms + rules.idle_ms
    orders = visitor.orders if work.orders is None else _newest(work.orders, MAX_ORDERS)
    totals, base, head, tail, ended, _, _, _ = visitor
    outcome.visitors[user_id] = Visitor(
        totals, base, head, tail, ended, timer_ms, work.seen[-MAX_SEEN * DIGEST_BYTES :], orders
    )


def _newest(entries: dict[bytes, int], limit: int) -> dict[bytes, int]:
    """The last `limit` entries in order of insertion."""
    if len(entries) <= limit:
        return entries
    return dict(list(entries.items())[-limit:])
