"""The pure steps of alerts: from the alert state and what happened to the next one and what to publish.

Every decision depends on event times and the visitor's state alone, so that reading the log again makes the
same alerts with the same ids. See docs/alerts.md for the rules.
"""

from collections.abc import Container, Sequence
from enum import IntEnum

from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState
from contracts.events import EventType
from contracts.reasons import say_reasons
from contracts.scores import Score
from contracts.visitor import Action, Session, Visitor
from contracts.visitor_alerts import VisitorAlerts
from models.silence import hear_silence
from stream.alerts.offers import describe_cart
from stream.alerts.thresholds import AlertThresholds, Cause, Subject, close, fire, say_silence
from stream.visitors.arrival import session_before, split_arrivals
from stream.visitors.session import advance

CART, PURCHASE = EventType.CART.rank, EventType.PURCHASE.rank
MAX_REASONS = 3

Step = tuple[VisitorAlerts, list[Alert]]


class Due(IntEnum):
    """What a silence can lead to; of those due at the same moment the lower comes first."""

    CHURN_EXPIRES = 0
    CART_EXPIRES = 1
    LOOK = 2
    ABANDONED = 3


def on_actions(
    alert_state: VisitorAlerts,
    user_id: str,
    before: Visitor | None,
    actions: Sequence[Action],
    score: Score | None,
    rules: AlertThresholds,
    *,
    stale: Container[bytes] = (),
) -> Step:
    """The step for new actions of a visitor whose state and stored score before them are given.

    Silences between the actions lead to what their timers would have led to, whether or not these came in
    time. `stale` has the digests of actions that arrived long after they happened (`contracts.clock`): what
    follows from them is recorded only. Call it before `on_score`.
    """
    late, newer = split_arrivals(before, actions)
    if not _at_stake(alert_state, before, actions):
        return _heard(alert_state, newer[-1], stale) if newer else alert_state, []
    alerts: list[Alert] = []
    for action in late:
        if action.rank == PURCHASE:
            alert_state = _resolve(alert_state, action.at_ms, alerts)
    if not newer:
        return alert_state, alerts
    session = session_before(before, late, idle_ms=rules.idle_ms)
    first_ms = newer[0].at_ms if before is None else min(before.totals.first_ms, *(a.at_ms for a in actions))
    tail = None if before is None else before.tail
    for action in newer:
        if session is not None:
            subject = Subject(user_id, first_ms, session, tail, _score_of(session, score))
            alert_state, passed = _pass_time(alert_state, subject, action.at_ms, rules)
            alerts += passed
        session, _ = advance(session, (action,), idle_ms=rules.idle_ms)
        alert_state = _heard(_enter(alert_state, session), action, stale)
        if action.rank == PURCHASE:
            alert_state = _resolve(alert_state, action.at_ms, alerts)
    return alert_state, alerts


def on_score(
    alert_state: VisitorAlerts, user_id: str, visitor: Visitor, score: Score, rules: AlertThresholds
) -> Step:
    """The step for a new score of a visitor, given the state it was made from.

    Fires `churn_risk` where there is intent, nothing bought in the session and the chance of a purchase is
    under the threshold.
    """
    session = visitor.head
    if not session.cart and score.purchase < rules.intent and session.start_ms > alert_state.session_start_ms:
        return alert_state, []
    alert_state = _enter(alert_state, session)
    armed, intent = score.purchase >= rules.rearm, score.purchase >= rules.intent
    if (armed and not alert_state.armed) or (intent and not alert_state.intent):
        alert_state = alert_state._replace(
            armed=alert_state.armed or armed, intent=alert_state.intent or intent
        )
    if (
        score.purchase >= rules.fire
        or visitor.ended
        or not _may_churn(alert_state, session)
        or score.at_ms < alert_state.quiet_until_ms[0]
    ):
        return alert_state, []
    reasons = say_reasons(score.reasons, limit=MAX_REASONS)
    cause = Cause(CHURN_RISK, score.at_ms, score.purchase, rules.fire, reasons, alert_state.live)
    subject = Subject(user_id, visitor.totals.first_ms, session, visitor.tail, score)
    alert_state, alert = fire(alert_state._replace(armed=False), subject, cause, rules)
    return alert_state, [alert]


def on_deadline(
    alert_state: VisitorAlerts,
    user_id: str,
    visitor: Visitor,
    score: Score | None,
    until_ms: int,
    rules: AlertThresholds,
) -> Step:
    """The step once event time has passed `until_ms` (a watermark) and the visitor was silent since.

    Whatever was due before is decided at the moment it was due, however late this is called.
    """
    session = visitor.head
    subject = Subject(user_id, visitor.totals.first_ms, session, visitor.tail, _score_of(session, score))
    return _pass_time(alert_state, subject, until_ms, rules)


def next_deadline_ms(
    alert_state: VisitorAlerts, visitor: Visitor, score: Score | None, rules: AlertThresholds
) -> int | None:
    """Event time at which this visitor should be looked at if silent until then, the session's end included.

    None if there is nothing to wait for: the session has ended and no alert is open.
    """
    session = visitor.head
    subject = Subject("", visitor.totals.first_ms, session, visitor.tail, _score_of(session, score))
    moments = [at_ms for at_ms, _ in _due(_enter(alert_state, session), subject, rules)]
    if not visitor.ended:
        moments.append(session.last_ms + rules.idle_ms)
    return min(moments, default=None)


def _pass_time(alert_state: VisitorAlerts, subject: Subject, until_ms: int, rules: AlertThresholds) -> Step:
    """Everything that falls due before `until_ms`, in order; an action at that very moment prevents it."""
    alerts: list[Alert] = []
    entered = _enter(alert_state, subject.session)
    while True:
        at_ms, what = min(_due(entered, subject, rules), default=(until_ms, Due.LOOK))
        if at_ms >= until_ms:
            return (
                (entered, alerts)
                if alerts or entered.looked_ms != alert_state.looked_ms
                else (alert_state, [])
            )
        if what is Due.LOOK:
            entered = _look(entered, subject, at_ms, alerts, rules)
        elif what is Due.ABANDONED:
            entered = _abandon(entered, subject, at_ms, alerts, rules)
        else:
            kind = CHURN_RISK if what is Due.CHURN_EXPIRES else CART_ABANDONED
            over = entered.open_of(kind)
            if over is not None:
                entered, alert = close(entered, over, AlertState.EXPIRED, at_ms)
                alerts.append(alert)


def _due(alert_state: VisitorAlerts, subject: Subject, rules: AlertThresholds) -> list[tuple[int, Due]]:
    """What this visitor's silence leads to, and when; each of them no more once it was decided."""
    session, score = subject.session, subject.score
    churn, cart = alert_state.open_of(CHURN_RISK), alert_state.open_of(CART_ABANDONED)
    due: list[tuple[int, Due]] = []
    if churn is not None:
        due.append((min(session.last_ms + rules.idle_ms, churn.fired_ms + rules.ttl_ms), Due.CHURN_EXPIRES))
    if cart is not None:
        due.append((cart.fired_ms + rules.recovery_ms, Due.CART_EXPIRES))
    look_ms = session.last_ms + rules.look_again_ms
    if (
        score is not None
        and look_ms > alert_state.looked_ms
        and rules.look_again_ms < rules.idle_ms
        and look_ms >= alert_state.quiet_until_ms[0]
        and _may_churn(alert_state, session)
    ):
        due.append((look_ms, Due.LOOK))
    abandoned_ms = session.last_ms + rules.cart_idle_ms
    left_behind = session.cart and session.counts[CART] and not session.counts[PURCHASE]
    if left_behind and cart is None and abandoned_ms >= alert_state.quiet_until_ms[1]:
        due.append((abandoned_ms, Due.ABANDONED))
    return due


def _look(
    alert_state: VisitorAlerts, subject: Subject, at_ms: int, alerts: list[Alert], rules: AlertThresholds
) -> VisitorAlerts:
    """Look at a silent visitor again: `churn_risk` fires if the silence has brought the chance under."""
    alert_state = alert_state._replace(looked_ms=at_ms)
    if subject.score is None:
        return alert_state
    score = hear_silence(subject.score, rules.look_again_ms, rules.curve)
    if score.purchase >= rules.fire:
        return alert_state
    reasons = (
        say_silence(rules.look_again_ms),
        *say_reasons(score.reasons, limit=MAX_REASONS - 1),
    )
    cause = Cause(CHURN_RISK, at_ms, score.purchase, rules.fire, reasons, alert_state.live)
    alert_state, alert = fire(alert_state._replace(armed=False), subject, cause, rules)
    alerts.append(alert)
    return alert_state


def _abandon(
    alert_state: VisitorAlerts, subject: Subject, at_ms: int, alerts: list[Alert], rules: AlertThresholds
) -> VisitorAlerts:
    reasons = (say_silence(rules.cart_idle_ms), describe_cart(subject.session.cart, rules.currency))
    purchase = None if subject.score is None else subject.score.purchase
    cause = Cause(CART_ABANDONED, at_ms, purchase, None, reasons, alert_state.live)
    alert_state, alert = fire(alert_state, subject, cause, rules)
    alerts.append(alert)
    return alert_state


def _may_churn(alert_state: VisitorAlerts, session: Session) -> bool:
    """Whether a low chance of a purchase would be news: intent, nothing bought, none open, armed."""
    return (
        alert_state.armed
        and not session.counts[PURCHASE]
        and (bool(session.cart) or alert_state.intent)
        and alert_state.open_of(CHURN_RISK) is None
    )


def _heard(alert_state: VisitorAlerts, action: Action, stale: Container[bytes]) -> VisitorAlerts:
    """The alert state with whether this action, the newest, arrived about when it happened."""
    live = action.digest not in stale
    return alert_state if live is alert_state.live else alert_state._replace(live=live)


def _enter(alert_state: VisitorAlerts, session: Session) -> VisitorAlerts:
    """The alert state in this session.

    A late event may join a session with the one before, whose start it then has, or give it another number by
    making one before it: it stays the session that it was. The alert state's number never goes back.
    """
    number = max(alert_state.session, session.number)
    if session.start_ms > alert_state.session_start_ms:
        episodes = (0, 0) if number > alert_state.session else alert_state.episodes
        return alert_state._replace(
            session=number, session_start_ms=session.start_ms, episodes=episodes, armed=True, intent=False
        )
    return alert_state if number == alert_state.session else alert_state._replace(session=number)


def _resolve(alert_state: VisitorAlerts, at_ms: int, alerts: list[Alert]) -> VisitorAlerts:
    """Close what a purchase settles: every alert of a session that had begun by then."""
    for alert in alert_state.open:
        if at_ms >= alert.detail.session_start_ms:
            alert_state, closed = close(alert_state, alert, AlertState.RESOLVED, at_ms)
            alerts.append(closed)
    return alert_state


def _at_stake(alert_state: VisitorAlerts, before: Visitor | None, actions: Sequence[Action]) -> bool:
    """Whether these actions can matter: for most visitors there is no cart, no intent and no alert."""
    if alert_state.open or alert_state.intent or (before is not None and before.head.cart):
        return True
    return any(action.rank == CART for action in actions)


def _score_of(session: Session, score: Score | None) -> Score | None:
    """The score if it was made after the last action of this session."""
    return score if score is not None and score.at_ms == session.last_ms else None
