"""The pure batch step: one partition's state after a run of records, and what must be written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from contracts.clock import LIVE_SKEW_MS
from contracts.events import Event, EventType
from contracts.logins import login_of, put_login
from contracts.scores import Score
from contracts.settings import Settings
from contracts.visitor import Visitor, action_of, digest_of, is_seen, visitor_of
from contracts.visitor_refunds import REFUNDS
from stream.alerts.gate import Gate
from stream.alerts.registry import AlertRules
from stream.batch.entries import Clock as Clock
from stream.batch.entries import Entry as Entry
from stream.batch.entries import Forward as Forward
from stream.batch.result import BatchResult as BatchResult
from stream.batch.result import NewEvents
from stream.scoring.predictions import (
    Arrival,
    judge_arrival,
    pass_silence,
    settle_elsewhere,
    take_score,
    timer_of,
)
from stream.visitors.fields import VisitorField, update_fields
from stream.visitors.logins import Followed, add_bought, follow_logins, without_bought
from stream.visitors.orders import take_line
from stream.visitors.refunds import refund_visitor
from stream.visitors.session import MAX_SEEN_BYTES, SessionSettings, absorb, end_session

Screen = Callable[[dict[str, list[Event]], Sequence[Entry]], Mapping[str, int]]
"""Takes events that must not be applied out of those grouped by visitor; returns counters of what it took."""


@dataclass(frozen=True, slots=True)
class StepSettings:
    """The settings the step depends on."""

    session: SessionSettings
    alerts: AlertRules
    lateness_ms: int
    keeps_events: bool = False
    """Whether the result has the new events of each visitor, for components that ask for them."""
    visitor_fields: tuple[VisitorField, ...] = ()

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        keeps_events: bool = False,
        visitor_fields: tuple[VisitorField, ...] = (),
        gate: Gate | None = None,
    ) -> "StepSettings":
        """The step's part of the settings."""
        return cls(
            SessionSettings(settings.idle_ms, settings.disorder_ms),
            AlertRules.of(settings, gate=gate),
            settings.lateness_ms,
            keeps_events,
            visitor_fields,
        )


def users_of(entries: Iterable[Entry]) -> set[str]:
    """The visitors whose events these are."""
    return {entry.event.user_id for entry in entries if entry.event is not None}


def apply_batch(
    clock: Clock,
    entries: Sequence[Entry],
    visitors: Mapping[str, Visitor | None],
    settings: StepSettings,
    *,
    screens: Sequence[Screen] = (),
) -> BatchResult:
    """What `entries` come to in a partition at `clock`.

    `visitors` holds the state of every visitor in the entries (None: unknown). An event whose id the
    visitor's state has seen, or a line of an order that it has, is a duplicate and changes nothing; one more
    than `lateness_ms` behind the watermark is counted as late and changes nothing else. Each of `screens` may
    keep events out: they move the clock and add nothing to anything else.
    """
    result = BatchResult(clock, visitors)
    result.counts.prices = [
        entry.event.price_minor
        for entry in entries
        if entry.event and entry.event.price_minor and entry.event.product_id
    ]
    applied = on_time = 0
    grouped, stale, named = _group(result, entries, settings.session.disorder_ms + settings.lateness_ms)
    for screen in screens:
        for counter, number in screen(grouped, entries).items():
            result.count(counter, number)
    screen_forwards(result, entries, screens)
    for user_id, events in grouped.items():
        on_time += len(events)
        visitor = visitors.get(user_id)
        followed = follow(result, visitor, events, settings) if user_id in named else None
        if followed is None:
            applied += apply_events(result, user_id, visitor, events, stale, settings)
            continue
        applied += apply_events(result, user_id, visitor, followed.events, stale, settings)
        applied += take_statements(result, user_id, visitor, followed, settings)
    result.count("applied", applied)
    result.count("duplicates", on_time - applied)
    return result


def _group(
    result: BatchResult, entries: Sequence[Entry], slack_ms: int
) -> tuple[dict[str, list[Event]], set[str], set[str]]:
    """Events by visitor, in the order of the entries; the result gets the clock, letters and late events.

    The second value has the ids of events that arrived long after they happened, the third the visitors of
    whom an event names a device.
    """
    max_event_ms, broker_ms = result.clock
    grouped: dict[str, list[Event]] = {}
    stale: set[str] = set()
    named: set[str] = set()
    late = 0
    for _, at_ms, record_ms, event, letter in entries:
        if record_ms > broker_ms:
            broker_ms = record_ms
        if event is None:
            if isinstance(letter, Forward):
                result.forwards.append(letter)
            elif letter is not None:
                result.letters.append(letter)
            continue
        moment = at_ms if at_ms < record_ms else record_ms
        if moment > max_event_ms:
            max_event_ms = moment
        elif at_ms < max_event_ms - slack_ms:
            late += 1
            continue
        if record_ms - at_ms >= LIVE_SKEW_MS:
            stale.add(event.event_id)
        if event.customer_id is not None:
            named.add(event.user_id)
        events = grouped.get(event.user_id)
        if events is None:
            grouped[event.user_id] = [event]
        else:
            events.append(event)
    result.clock = Clock(max_event_ms, broker_ms)
    result.count("late", late)
    result.count("rejected", len(result.letters))
    return grouped, stale, named


def screen_forwards(result: BatchResult, entries: Sequence[Entry], screens: Sequence[Screen]) -> None:
    """Let screens keep records out that would go into Kafka once more, by the id under which they came."""
    if screens and result.forwards:
        result.forwards = [
            entry.letter
            for entry in entries
            if isinstance(entry.letter, Forward) and _passes(result, entry, entry.letter, screens)
        ]
    result.count("forwarded", len(result.forwards))


def _passes(result: BatchResult, entry: Entry, forward: Forward, screens: Sequence[Screen]) -> bool:
    grouped = {forward.sent_as: [forward.event]}
    for screen in screens:
        for counter, number in screen(grouped, [entry._replace(event=forward.event)]).items():
            result.count(counter, number)
    return bool(grouped)


def follow(
    result: BatchResult, visitor: Visitor | None, events: list[Event], settings: StepSettings
) -> Followed:
    """A visitor's actions with their customers, and what else the events say of who is logged in."""
    last_ms = 0 if visitor is None else visitor.head.last_ms
    followed = follow_logins(login_of(visitor), last_ms, events, settings.session.idle_ms)
    result.reports += followed.reports
    return followed


def take_statements(
    result: BatchResult, user_id: str, visitor: Visitor | None, followed: Followed, settings: StepSettings
) -> int:
    """Put what a visitor's events say of the login into the state, if there is one; how many statements."""
    known = result.visitors.get(user_id, visitor)
    if known is None:
        return followed.n_statements
    login = add_bought(followed.login, followed.bought) if followed.bought else followed.login
    after = known if login == login_of(known) else put_login(known, login)
    if login.bought != followed.login.bought:
        newest_ms = max(event.event_time_ms for event in followed.bought)
        after = settle_elsewhere(result.prediction_results, after, newest_ms, settings.alerts)
    if login.bought and (cart := without_bought(after.head.cart, login)) is not after.head.cart:
        after = after._replace(head=after.head._replace(cart=cart))
    if after is not known:
        result.put(user_id, after, settings.alerts)
    return followed.n_statements


def apply_events(
    result: BatchResult,
    user_id: str,
    visitor: Visitor | None,
    events: list[Event],
    stale: set[str],
    settings: StepSettings,
) -> int:
    """One visitor's events: those not seen before are counted and change the state; returns their number."""
    seen = b"" if visitor is None else visitor.seen
    orders = {} if visitor is None else dict(visitor.orders)
    actions, new_events, stale_digests, refunds = [], [], [], []
    bought: set[str | None] = set()
    for event in events:
        event_id, kind, at_ms, _, product, session, price, currency, quantity, category, brand, *_ = event
        digest = digest_of(event_id)
        if digest in seen and is_seen(seen, digest):
            continue
        if kind is EventType.REFUND:
            refunds.append(event)
            seen += digest
            continue
        if kind is EventType.PURCHASE:
            line = take_line(orders, event)
            if line is None:
                continue
            result.counts.count_order(line)
            bought.add(event.order_id)
        seen += digest
        if event_id in stale:
            stale_digests.append(digest)
        rank = cast(EventType, kind).rank  # `follow` has taken the statements out
        new_events.append(event)
        actions.append(
            action_of((at_ms, rank, digest, product, quantity, price, currency, category, brand, session))
        )
    result.counts.refunds += refunds
    seen = seen[-MAX_SEEN_BYTES:]
    if not actions:
        if refunds and visitor is not None:
            result.visitors[user_id] = refund_visitor(visitor._replace(seen=seen), refunds)
        return len(refunds)
    result.counts.count(actions)
    after, deltas = absorb(visitor, actions, settings.session)
    result.count_sessions(deltas)
    totals, base, head, tail, ended, timer_ms, _, _, _, extra = after
    arrival = Arrival(visitor, actions, stale_digests)
    predictions = judge_arrival(result.prediction_results, user_id, arrival, settings.alerts)
    if settings.visitor_fields:
        extra = update_fields(settings.visitor_fields, visitor, new_events)
    if settings.keeps_events:
        result.new_events.append(NewEvents(user_id, visitor, new_events))
    known = visitor_of((totals, base, head, tail, ended, timer_ms, seen, orders, predictions, extra))
    if refunds or (bought and REFUNDS in extra):
        known = refund_visitor(known, refunds, bought)
    result.put(user_id, known, settings.alerts)
    return len(actions) + len(refunds)


def fire_deadlines(
    clock: Clock,
    watermark_ms: int,
    due: Sequence[str],
    visitors: Mapping[str, Visitor | None],
    settings: StepSettings,
) -> BatchResult:
    """What the deadlines of the visitors in `due` come to at this watermark.

    One that has come may find that the visitor acted since, or that there is more to wait for: then it is set
    again for what comes next.
    """
    result = BatchResult(clock, visitors)
    idle_ms = settings.session.idle_ms
    for user_id in due:
        visitor = visitors.get(user_id)
        if visitor is None:
            result.timers[user_id] = 0
            continue
        if visitor.head.last_ms + idle_ms < watermark_ms:
            visitor, deltas = end_session(visitor, idle_ms=idle_ms)
            result.count_sessions(deltas)
        visitor = pass_silence(result.prediction_results, user_id, visitor, watermark_ms, settings.alerts)
        due_ms = result.timers[user_id] = timer_of(visitor, settings.alerts)
        result.visitors[user_id] = visitor._replace(timer_ms=due_ms)
    return result


def take_scores(result: BatchResult, scores: Mapping[str, Score], rules: AlertRules) -> None:
    """Put scores of the result's visitors, made of these very states, into the result."""
    for user_id, score in scores.items():
        visitor = take_score(result.prediction_results, user_id, result.visitors[user_id], score, rules)
        result.put(user_id, visitor, rules)
