"""The pure batch step: one partition's state after a run of records, and what must be written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.clock import LIVE_SKEW_MS
from contracts.dead_letters import DeadLetter
from contracts.events import Event
from contracts.scores import Score
from contracts.settings import Settings
from contracts.visitor import Visitor, action_of, digest_of, is_seen, visitor_of
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from stream.alerts.thresholds import AlertThresholds
from stream.components.deletions.screen import NOBODY, keep_out
from stream.components.demand import DemandCounter, DemandDeltas
from stream.scoring.predictions import (
    Arrival,
    PredictionResults,
    judge_arrival,
    pass_silence,
    take_score,
    timer_of,
)
from stream.visitors.orders import count_order
from stream.visitors.session import MAX_SEEN_BYTES, PURCHASE, SessionSettings, absorb, end_session
from stream.visitors.session_counts import SessionDeltas


@dataclass(frozen=True, slots=True)
class StepSettings:
    """The settings the step depends on."""

    session: SessionSettings
    alerts: AlertThresholds
    lateness_ms: int
    half_life_ms: int
    secret: str = ""
    """Key of the digests of deleted visitors."""

    @classmethod
    def of(cls, settings: Settings) -> "StepSettings":
        """The rules in the settings."""
        return cls(
            SessionSettings(settings.idle_ms, settings.disorder_ms),
            AlertThresholds.of(settings),
            settings.lateness_ms,
            settings.trend_half_life_s * 1_000,
            settings.deletion_secret.get_secret_value(),
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
class BatchResult:
    """What a batch comes to: new states and everything to be added, nothing of it written yet."""

    clock: Clock
    level: PriceLevel = UNKNOWN_LEVEL
    prediction_results: PredictionResults = field(default_factory=PredictionResults)
    visitors: dict[str, Visitor] = field(default_factory=dict)
    demand: DemandDeltas = field(default_factory=DemandDeltas)
    letters: list[DeadLetter] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    """Visitor to a deadline to set (ms), or 0 to clear."""
    forgotten: dict[str, int] = field(default_factory=dict)
    """Digests of visitors deleted in this batch to the ms up to which their events are kept out."""
    removed: dict[str, str] = field(default_factory=dict)
    """Those of them whose state is removed: digest to visitor."""

    def put(self, user_id: str, visitor: Visitor, rules: AlertThresholds) -> None:
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
            self.demand.add_shop(minute_ms, metric, change)


def users_of(entries: Iterable[Entry]) -> set[str]:
    """The visitors whose events these are."""
    return {entry.event.user_id for entry in entries if entry.event is not None}


def apply_batch(
    clock: Clock,
    entries: Sequence[Entry],
    visitors: Mapping[str, Visitor | None],
    rules: StepSettings,
    *,
    level: PriceLevel = UNKNOWN_LEVEL,
    forgotten: Mapping[str, int] = NOBODY,
) -> BatchResult:
    """The outcome of `entries` for a partition at `clock` whose prices were at `level`.

    `visitors` holds the state of every visitor in the entries (None: unknown). An event whose id the
    visitor's state has seen is a duplicate and changes nothing; one more than `lateness_ms` behind the
    watermark is counted as late and changes nothing else. `forgotten` has the digests of deleted visitors
    and up to which ms their events are counted as forgotten, which adds nothing to anything of theirs.
    """
    prices = [entry.event.price_minor for entry in entries if entry.event and entry.event.price_minor]
    outcome = BatchResult(clock, level.after_all(prices))
    demand = DemandCounter(outcome.demand, rules.half_life_ms)
    applied = on_time = 0
    grouped, stale = _group(outcome, entries, rules.session.disorder_ms + rules.lateness_ms)
    if forgotten:
        outcome.count("forgotten", keep_out(grouped, entries, forgotten, rules.secret))
    for user_id, events in grouped.items():
        on_time += len(events)
        applied += apply_events(outcome, demand, user_id, visitors.get(user_id), events, stale, rules)
    outcome.count("applied", applied)
    outcome.count("duplicates", on_time - applied)
    demand.settle()
    return outcome


def _group(
    outcome: BatchResult, entries: Sequence[Entry], slack_ms: int
) -> tuple[dict[str, list[Event]], set[str]]:
    """Events by visitor, in the order of the entries; the outcome gets the clock, letters and late events.

    The second value has the ids of events that arrived long after they happened.
    """
    max_event_ms, broker_ms = outcome.clock
    grouped: dict[str, list[Event]] = {}
    stale: set[str] = set()
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
        if record_ms - at_ms >= LIVE_SKEW_MS:
            stale.add(event.event_id)
        events = grouped.get(event.user_id)
        if events is None:
            grouped[event.user_id] = [event]
        else:
            events.append(event)
    outcome.clock = Clock(max_event_ms, broker_ms)
    outcome.count("late", late)
    outcome.count("rejected", len(outcome.letters))
    return grouped, stale


def apply_events(
    outcome: BatchResult,
    demand: DemandCounter,
    user_id: str,
    visitor: Visitor | None,
    events: list[Event],
    stale: set[str],
    rules: StepSettings,
) -> int:
    """One visitor's events: those not seen before are counted and change the state; returns their number."""
    seen = b"" if visitor is None else visitor.seen
    orders = {} if visitor is None else visitor.orders
    actions, stale_digests = [], []
    for event in events:
        event_id, kind, at_ms, _, product, session, price, currency, quantity, category, brand, _, _ = event
        digest = digest_of(event_id)
        if digest in seen and is_seen(seen, digest):
            continue
        seen += digest
        if event_id in stale:
            stale_digests.append(digest)
        rank = kind.rank
        actions.append(
            action_of((at_ms, rank, digest, product, quantity, price, currency, category, brand, session))
        )
        if rank == PURCHASE:
            orders = count_order(outcome.demand, orders, event)
    if not actions:
        return 0
    demand.count(actions)
    after, deltas = absorb(visitor, actions, rules.session)
    outcome.count_sessions(deltas)
    totals, base, head, tail, ended, timer_ms, _, _, _ = after
    arrival = Arrival(visitor, actions, stale_digests)
    predictions = judge_arrival(outcome.prediction_results, user_id, arrival, rules.alerts)
    seen = seen[-MAX_SEEN_BYTES:]
    known = visitor_of((totals, base, head, tail, ended, timer_ms, seen, orders, predictions))
    outcome.put(user_id, known, rules.alerts)
    return len(actions)


def fire_deadlines(
    clock: Clock,
    watermark_ms: int,
    due: Sequence[str],
    visitors: Mapping[str, Visitor | None],
    rules: StepSettings,
    *,
    level: PriceLevel = UNKNOWN_LEVEL,
) -> BatchResult:
    """The outcome of the deadlines of the visitors in `due` at this watermark.

    One that has come may find that the visitor acted since, or that there is more to wait for: then it is set
    again for what comes next.
    """
    outcome = BatchResult(clock, level)
    idle_ms = rules.session.idle_ms
    for user_id in due:
        visitor = visitors.get(user_id)
        if visitor is None:
            outcome.timers[user_id] = 0
            continue
        if visitor.head.last_ms + idle_ms < watermark_ms:
            visitor, deltas = end_session(visitor, idle_ms=idle_ms)
            outcome.count_sessions(deltas)
        visitor = pass_silence(outcome.prediction_results, user_id, visitor, watermark_ms, rules.alerts)
        due_ms = outcome.timers[user_id] = timer_of(visitor, rules.alerts)
        outcome.visitors[user_id] = visitor._replace(timer_ms=due_ms)
    return outcome


def take_scores(outcome: BatchResult, scores: Mapping[str, Score], rules: AlertThresholds) -> None:
    """Put scores of the outcome's visitors, made of these very states, into the outcome."""
    for user_id, score in scores.items():
        visitor = take_score(outcome.prediction_results, user_id, outcome.visitors[user_id], score, rules)
        outcome.put(user_id, visitor, rules)
