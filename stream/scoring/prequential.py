"""Predictions against what the visitor then did: every one is judged once, by the stream itself.

The next action is judged by the first action after the score, or by the session's end; the purchase by the
first purchase after it in the session, or by that end. Counters are those of `models.quality`, in the minute
(event time) in which the answer was known.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.alerts import Alert, AlertState, VisitorDetail
from contracts.buckets import bucket_start
from contracts.events import EventType
from contracts.scores import SCALE, Pending, Score, Unjudged, in_parts
from contracts.visitor import Action, Session, Visitor
from contracts.visitor_alerts import VisitorAlerts, Watched
from models.next_action.actions import LEAVE_TARGET, TARGET_OF_RANK
from models.quality import MICRO, NO_MODEL, Quality, bin_of, lead_bin, of_kind
from models.uplift import SQUARES_OF_MINOR, Arm, arm_counter
from stream.alerts.gate import Decided
from stream.visitors.arrival import session_before, split_arrivals
from stream.visitors.session import advance

CART, PURCHASE = EventType.CART.rank, EventType.PURCHASE.rank
MAX_WAITING = 4
"""Scores of a visitor that wait for one next action: late events can bring several, a robot any number."""

Fired = frozenset[tuple[int, str]]
"""Number of a session and a kind of which an alert fired in it."""
NONE_FIRED: Fired = frozenset()


@dataclass(slots=True)
class Tally:
    """What to add to the counters, per minute, and the errors of the predictions judged (for drift).

    A field is `<name>:<model version>`, see `models.quality.Quality`. An error is 1 less the probability that
    was given to what happened.
    """

    minutes: dict[int, dict[str, int]] = field(default_factory=dict)
    errors: list[float] = field(default_factory=list)

    def add(self, at_ms: int, version: str, changes: Iterable[tuple[str, int]]) -> None:
        """Add to counters of a model version in the minute of `at_ms`."""
        minute_ms = bucket_start(at_ms, "minute")
        fields = self.minutes.get(minute_ms)
        if fields is None:
            fields = self.minutes[minute_ms] = {}
        suffix = f":{version or NO_MODEL}"
        for name, change in changes:
            key = name + suffix
            fields[key] = fields.get(key, 0) + change


def expect(unjudged: Unjudged, visitor: Visitor, score: Score) -> Unjudged:
    """What waits to be judged after a new score of the visitor; unchanged if its session is over."""
    waiting, pending, _, closed = unjudged
    if visitor.ended or len(waiting) >= MAX_WAITING:
        return unjudged
    version = score.version
    others: tuple[Pending, ...] = ()
    mine = Pending(version, 0, 0, 0, 0, ())
    for sums in pending:
        if sums.version == version:
            mine = sums
        else:
            others = (*others, sums)
    waiting = (*waiting, (version, in_parts(score.probabilities)))
    return Unjudged(waiting, (*others, _grow(mine, score.purchase)), version, closed)


def judge_actions(
    unjudged: Unjudged,
    before: Visitor | None,
    actions: Sequence[Action],
    fired: Fired,
    tally: Tally,
    *,
    idle_ms: int,
) -> Unjudged:
    """What is left to judge after new actions of a visitor whose state before them is given.

    An action that comes late judges no next action; a late purchase within the session counts as later. Call
    it before `expect`. `fired` is `fired_in` the alert state before the actions and the alerts they led to.
    """
    late, newer = split_arrivals(before, actions)
    if before is not None:
        for action in late:
            if action.rank == PURCHASE and action.at_ms >= before.head.start_ms:
                unjudged = _settle(unjudged, action.at_ms, tally, bought=True)
    if not newer:
        return unjudged
    from_ms = newer[0].at_ms if before is None else before.head.last_ms
    if newer[-1].at_ms - from_ms > idle_ms:
        session = session_before(before, late, idle_ms=idle_ms)
        return _judge_sessions(unjudged, session, newer, fired, tally, idle_ms=idle_ms)
    return _judge_session(unjudged, newer, tally)


def judge_end(unjudged: Unjudged, session: Session, fired: Fired, tally: Tally, *, idle_ms: int) -> Unjudged:
    """What is left to judge once this session is over: nothing. A second call for it changes nothing."""
    end_ms = session.last_ms + idle_ms
    unjudged = _judge_next(unjudged, LEAVE_TARGET, end_ms, tally)
    unjudged = _settle(unjudged, end_ms, tally, bought=False)
    if session.number <= unjudged.closed:
        return unjudged
    if session.counts[CART] and session.counts[PURCHASE]:
        tally.add(end_ms, unjudged.version, [(Quality.BOUGHT, 1)])
    elif session.counts[CART]:
        kinds = sorted({kind for number, kind in fired if number == session.number})
        alerted = [(of_kind(Quality.LOST_ALERTED, kind), 1) for kind in kinds]
        tally.add(end_ms, unjudged.version, [(Quality.LOST, 1), *alerted])
    return unjudged._replace(closed=session.number)


def fired_in(alert_state: VisitorAlerts, alerts: Sequence[Alert]) -> Fired:
    """The sessions in which alerts fired, from the alert state before a step and the alerts of the step."""
    if not alerts and not alert_state.kinds:
        return NONE_FIRED
    fired = {(alert_state.session, kind) for kind, kept in alert_state.kinds.items() if kept.episodes}
    for alert in alerts:
        if isinstance(alert.detail, VisitorDetail):  # of others it is not known in which session
            fired.add((alert.detail.session, alert.kind))
    return frozenset(fired)


def count_alerts(alerts: Iterable[Alert], tally: Tally) -> None:
    """Count steps of alerts about any subject, those that were only recorded too."""
    for alert in alerts:
        kind, lasted_ms = alert.kind, alert.at_ms - alert.fired_ms
        if alert.state is AlertState.FIRING:
            changes = [(of_kind(Quality.FIRED, kind), 1)]
        elif alert.state is AlertState.RESOLVED:
            changes = [(of_kind(Quality.RESOLVED, kind), 1), (of_kind(Quality.WAIT_MS, kind), lasted_ms)]
        else:
            changes = [
                (of_kind(Quality.EXPIRED, kind), 1),
                (of_kind(Quality.LEAD_MS, kind), lasted_ms),
                (f"{of_kind(Quality.LEAD, kind)}.{lead_bin(lasted_ms)}", 1),
            ]
        tally.add(alert.at_ms, alert.model or NO_MODEL, changes)
        if alert.state is not AlertState.FIRING:
            ended = Quality.COHORT_RESOLVED if alert.state is AlertState.RESOLVED else Quality.COHORT_EXPIRED
            tally.add(alert.fired_ms, alert.model or NO_MODEL, [(of_kind(ended, kind), 1)])


def count_decided(decided: Iterable[Decided], tally: Tally) -> None:
    """Count alerts that were withheld, by reason: each time a rule wanted one."""
    for candidate, withheld in decided:
        if withheld is not None:
            name = f"{of_kind(Quality.WITHHELD, candidate.kind)}.{withheld}"
            tally.add(candidate.at_ms, candidate.model or NO_MODEL, [(name, 1)])


def count_watched(ended: Iterable[Watched], tally: Tally) -> None:
    """Count what came of alerts in the day after they fired, in the minute in which they did."""
    for each in ended:
        if not each.is_counted:
            continue
        arm = Arm.HELD_OUT if each.is_held_out else Arm.TOLD
        revenue = each.revenue_minor
        changes = [
            (arm_counter(Quality.WATCHED, each.kind, arm), 1),
            (arm_counter(Quality.WATCHED_BOUGHT, each.kind, arm), int(each.purchases > 0)),
            (arm_counter(Quality.WATCHED_REVENUE, each.kind, arm), revenue),
            (arm_counter(Quality.WATCHED_SQUARES, each.kind, arm), round(revenue / SQUARES_OF_MINOR) ** 2),
        ]
        tally.add(each.fired_ms, each.model or NO_MODEL, [change for change in changes if change[1]])


def _judge_session(unjudged: Unjudged, newer: Sequence[Action], tally: Tally) -> Unjudged:
    """Judge by actions that all go on with the same session."""
    first = newer[0]
    unjudged = _judge_next(unjudged, TARGET_OF_RANK[first.rank], first.at_ms, tally)
    for action in newer:
        if action.rank == PURCHASE:
            return _settle(unjudged, action.at_ms, tally, bought=True)
    return unjudged


def _judge_sessions(
    unjudged: Unjudged,
    session: Session | None,
    newer: Sequence[Action],
    fired: Fired,
    tally: Tally,
    *,
    idle_ms: int,
) -> Unjudged:
    """Judge by actions among which sessions end."""
    for action in newer:
        if session is not None and action.at_ms - session.last_ms > idle_ms:
            unjudged = judge_end(unjudged, session, fired, tally, idle_ms=idle_ms)
        unjudged = _judge_session(unjudged, (action,), tally)
        session, _ = advance(session, (action,), idle_ms=idle_ms)
    return unjudged


def _judge_next(unjudged: Unjudged, target: int, at_ms: int, tally: Tally) -> Unjudged:
    if not unjudged.waiting:
        return unjudged
    for version, parts in unjudged.waiting:
        confidence = max(parts)
        predicted, b = parts.index(confidence), bin_of(confidence)
        changes = [
            (f"{Quality.CONFUSION}{predicted}{target}", 1),
            (Quality.LOSS, _loss(parts[target])),
            (f"{Quality.CONFIDENCE}n{b}", 1),
            (f"{Quality.CONFIDENCE}p{b}", confidence),
        ]
        if predicted == target:
            changes.append((f"{Quality.CONFIDENCE}y{b}", 1))
        tally.add(at_ms, version, changes)
        tally.errors.append(1 - parts[target] / SCALE)
    return unjudged._replace(waiting=())


def _settle(unjudged: Unjudged, at_ms: int, tally: Tally, *, bought: bool) -> Unjudged:
    """Judge the purchase predictions of the session, all at once."""
    if not unjudged.pending:
        return unjudged
    for version, loss_if, loss_if_not, brier_if, brier_if_not, bins in unjudged.pending:
        changes = [
            (Quality.PURCHASE_LOSS, loss_if if bought else loss_if_not),
            (Quality.PURCHASE_BRIER, brier_if if bought else brier_if_not),
        ]
        for b, n, parts in bins:
            changes += [(f"{Quality.PURCHASE}n{b}", n), (f"{Quality.PURCHASE}p{b}", parts)]
            if bought:
                changes.append((f"{Quality.PURCHASE}y{b}", n))
        tally.add(at_ms, version, changes)
    return unjudged._replace(pending=())


def _grow(sums: Pending, purchase: float) -> Pending:
    """The sums with one more purchase prediction."""
    parts = round(purchase * SCALE)
    costs = _costs(parts)
    version, loss_if, loss_if_not, brier_if, brier_if_not, bins = sums
    return Pending(
        version,
        loss_if + costs[0],
        loss_if_not + costs[1],
        brier_if + costs[2],
        brier_if_not + costs[3],
        _count_in(bins, bin_of(parts), parts),
    )


def _count_in(
    bins: tuple[tuple[int, int, int], ...], mine: int, parts: int
) -> tuple[tuple[int, int, int], ...]:
    """The bins, which are in order, with one more prediction in one of them."""
    for place, (b, n, total) in enumerate(bins):
        if b == mine:
            return (*bins[:place], (b, n + 1, total + parts), *bins[place + 1 :])
        if b > mine:
            return (*bins[:place], (mine, 1, parts), *bins[place:])
    return (*bins, (mine, 1, parts))


@lru_cache(maxsize=SCALE + 1)
def _costs(parts: int) -> tuple[int, int, int, int]:
    """What a purchase probability in 1/SCALE costs: loss and squared error, each if bought and if not."""
    p = parts / SCALE
    return _loss(parts), _loss(SCALE - parts), round((1 - p) ** 2 * MICRO), round(p**2 * MICRO)


@lru_cache(maxsize=SCALE + 1)
def _loss(parts: int) -> int:
    """Log loss in millionths of a probability in 1/SCALE, taken as at least half of that."""
    return round(-math.log(max(parts, 0.5) / SCALE) * MICRO)
