"""The pure steps of alerts: from a visitor's book and what happened to the next book and what to publish.

Every decision depends on event times and the visitor's state alone, so that reading the log again makes the
same alerts with the same ids. See docs/alerts.md for the rules.
"""

from collections.abc import Container, Sequence
from enum import IntEnum

from contracts.alert_book import AlertBook
from contracts.alerts import Alert, AlertKind, AlertState
from contracts.events import EventType
from contracts.reasons import say_reasons
from contracts.scores import Score
from contracts.visitor import Action, Session, Visitor
from models.silence import hear_silence
from stream.alerts.offers import describe_cart
from stream.alerts.thresholds import AlertRules, Cause, Subject, close, fire, say_silence
from stream.visitors.arrival import session_before, split_arrivals
from stream.visitors.session import advance

CART, PURCHASE = EventType.CART.rank, EventType.PURCHASE.rank
MAX_REASONS = 3

Step = tuple[AlertBook, list[Alert]]


class Due(IntEnum):
    """What a silence can lead to; of those due at the same moment the lower comes first."""

    CHURN_EXPIRES = 0
    CART_EXPIRES = 1
    LOOK = 2
    ABANDONED = 3


def on_actions(
    book: AlertBook,
    user_id: str,
    before: Visitor | None,
    actions: Sequence[Action],
    score: Score | None,
    rules: AlertRules,
    *,
    stale: Container[bytes] = (),
) -> Step:
    """The step for new actions of a visitor whose state and stored score before them are given.

    Silences between the actions lead to what their timers would have led to, whether or not these came in
    time. `stale` has the digests of actions that arrived long after they happened (`contracts.clock`): what
    follows from them is recorded only. Call it before `on_score`.
    """
    late, newer = split_arrivals(before, actions)
    if not _at_stake(book, before, actions):
        return _heard(book, newer[-1], stale) if newer else book, []
    alerts: list[Alert] = []
    for action in late:
        if action.rank == PURCHASE:
            book = _resolve(book, action.at_ms, alerts)
    if not newer:
        return book, alerts
    session = session_before(before, late, idle_ms=rules.idle_ms)
    first_ms = newer[0].at_ms if before is None else min(before.totals.first_ms, *(a.at_ms for a in actions))
    tail = None if before is None else before.tail
    for action in newer:
        if session is not None:
            subject = Subject(user_id, first_ms, session, tail, _score_of(session, score))
            book, passed = _pass_time(book, subject, action.at_ms, rules)
            alerts += passed
        session, _ = advance(session, (action,), idle_ms=rules.idle_ms)
        book = _heard(_enter(book, session), action, stale)
        if action.rank == PURCHASE:
            book = _resolve(book, action.at_ms, alerts)
    return book, alerts


def on_score(book: AlertBook, user_id: str, visitor: Visitor, score: Score, rules: AlertRules) -> Step:
    """The step for a new score of a visitor, given the state it was made from.

    Fires `churn_risk` where there is intent, nothing bought in the session and the chance of a purchase is
    under the threshold.
    """
    session = visitor.head
    if not session.cart and score.purchase < rules.intent and session.start_ms > book.session_start_ms:
        return book, []
    book = _enter(book, session)
    armed, intent = score.purchase >= rules.rearm, score.purchase >= rules.intent
    if (armed and not book.armed) or (intent and not book.intent):
        book = book._replace(armed=book.armed or armed, intent=book.intent or intent)
    if (
        score.purchase >= rules.fire
        or visitor.ended
        or not _may_churn(book, session)
        or score.at_ms < book.quiet_until_ms[0]
    ):
        return book, []
    reasons = say_reasons(score.reasons, limit=MAX_REASONS)
    cause = Cause(AlertKind.CHURN_RISK, score.at_ms, score.purchase, rules.fire, reasons, book.live)
    subject = Subject(user_id, visitor.totals.first_ms, session, visitor.tail, score)
    book, alert = fire(book._replace(armed=False), subject, cause, rules)
    return book, [alert]


def on_deadline(
    book: AlertBook, user_id: str, visitor: Visitor, score: Score | None, until_ms: int, rules: AlertRules
) -> Step:
    """The step once event time has passed `until_ms` (a watermark) and the visitor was silent since.

    Whatever was due before is decided at the moment it was due, however late this is called.
    """
    session = visitor.head
    subject = Subject(user_id, visitor.totals.first_ms, session, visitor.tail, _score_of(session, score))
    return _pass_time(book, subject, until_ms, rules)


def next_deadline_ms(book: AlertBook, visitor: Visitor, score: Score | None, rules: AlertRules) -> int | None:
    """Event time at which this visitor should be looked at if silent until then, the session's end included.

    None if there is nothing to wait for: the session has ended and no alert is open.
    """
    session = visitor.head
    subject = Subject("", visitor.totals.first_ms, session, visitor.tail, _score_of(session, score))
    moments = [at_ms for at_ms, _ in _due(_enter(book, session), subject, rules)]
    if not visitor.ended:
        moments.append(session.last_ms + rules.idle_ms)
    return min(moments, default=None)


def _pass_time(book: AlertBook, subject: Subject, until_ms: int, rules: AlertRules) -> Step:
    """Everything that falls due before `until_ms`, in order; an action at that very moment prevents it."""
    alerts: list[Alert] = []
    entered = _enter(book, subject.session)
    while True:
        at_ms, what = min(_due(entered, subject, rules), default=(until_ms, Due.LOOK))
        if at_ms >= until_ms:
            return (entered, alerts) if alerts or entered.looked_ms != book.looked_ms else (book, [])
        if what is Due.LOOK:
            entered = _look(entered, subject, at_ms, alerts, rules)
        elif what is Due.ABANDONED:
            entered = _abandon(entered, subject, at_ms, alerts, rules)
        else:
            kind = AlertKind.CHURN_RISK if what is Due.CHURN_EXPIRES else AlertKind.CART_ABANDONED
            over = entered.open_of(kind)
            if over is not None:
                entered, alert = close(entered, over, AlertState.EXPIRED, at_ms)
                alerts.append(alert)


def _due(book: AlertBook, subject: Subject, rules: AlertRules) -> list[tuple[int, Due]]:
    """What this visitor's silence leads to, and when; each of them no more once it was decided."""
    session, score = subject.session, subject.score
    churn, cart = book.open_of(AlertKind.CHURN_RISK), book.open_of(AlertKind.CART_ABANDONED)
    due: list[tuple[int, Due]] = []
    if churn is not None:
        due.append((min(session.last_ms + rules.idle_ms, churn.fired_ms + rules.ttl_ms), Due.CHURN_EXPIRES))
    if cart is not None:
        due.append((cart.fired_ms + rules.recovery_ms, Due.CART_EXPIRES))
    look_ms = session.last_ms + rules.look_again_ms
    if (
        score is not None
        and look_ms > book.looked_ms
        and rules.look_again_ms < rules.idle_ms
        and look_ms >= book.quiet_until_ms[0]
        and _may_churn(book, session)
    ):
        due.append((look_ms, Due.LOOK))
    abandoned_ms = session.last_ms + rules.cart_idle_ms
    left_behind = session.cart and session.counts[CART] and not session.counts[PURCHASE]
    if left_behind and cart is None and abandoned_ms >= book.quiet_until_ms[1]:
        due.append((abandoned_ms, Due.ABANDONED))
    return due


def _look(book: AlertBook, subject: Subject, at_ms: int, alerts: list[Alert], rules: AlertRules) -> AlertBook:
    """Look at a silent visitor again: `churn_risk` fires if the silence has brought the chance under."""
    book = book._replace(looked_ms=at_ms)
    if subject.score is None:
        return book
    score = hear_silence(subject.score, rules.look_again_ms, rules.curve)
    if score.purchase >= rules.fire:
        return book
    reasons = (
        say_silence(rules.look_again_ms),
        *say_reasons(score.reasons, limit=MAX_REASONS - 1),
    )
    cause = Cause(AlertKind.CHURN_RISK, at_ms, score.purchase, rules.fire, reasons, book.live)
    book, alert = fire(book._replace(armed=False), subject, cause, rules)
    alerts.append(alert)
    return book


def _abandon(
    book: AlertBook, subject: Subject, at_ms: int, alerts: list[Alert], rules: AlertRules
) -> AlertBook:
    reasons = (say_silence(rules.cart_idle_ms), describe_cart(subject.session.cart, rules.currency))
    purchase = None if subject.score is None else subject.score.purchase
    cause = Cause(AlertKind.CART_ABANDONED, at_ms, purchase, None, reasons, book.live)
    book, alert = fire(book, subject, cause, rules)
    alerts.append(alert)
    return book


def _may_churn(book: AlertBook, session: Session) -> bool:
    """Whether a low chance of a purchase would be news: intent, nothing bought, none open, armed."""
    return (
        book.armed
        and not session.counts[PURCHASE]
        and (bool(session.cart) or book.intent)
        and book.open_of(AlertKind.CHURN_RISK) is None
    )


def _heard(book: AlertBook, action: Action, stale: Container[bytes]) -> AlertBook:
    """The book with whether this action, the newest, arrived about when it happened."""
    live = action.digest not in stale
    return book if live is book.live else book._replace(live=live)


def _enter(book: AlertBook, session: Session) -> AlertBook:
    """The book in this session.

    A late event may join a session with the one before, whose start it then has, or give it another number by
    making one before it: it stays the session that it was. The book's number never goes back.
    """
    number = max(book.session, session.number)
    if session.start_ms > book.session_start_ms:
        episodes = (0, 0) if number > book.session else book.episodes
        return book._replace(
            session=number, session_start_ms=session.start_ms, episodes=episodes, armed=True, intent=False
        )
    return book if number == book.session else book._replace(session=number)


def _resolve(book: AlertBook, at_ms: int, alerts: list[Alert]) -> AlertBook:
    """Close what a purchase settles: every alert of a session that had begun by then."""
    for alert in book.open:
        if at_ms >= alert.session_start_ms:
            book, closed = close(book, alert, AlertState.RESOLVED, at_ms)
            alerts.append(closed)
    return book


def _at_stake(book: AlertBook, before: Visitor | None, actions: Sequence[Action]) -> bool:
    """Whether these actions can matter: for most visitors there is no cart, no intent and no alert."""
    if book.open or book.intent or (before is not None and before.head.cart):
        return True
    return any(action.rank == CART for action in actions)


def _score_of(session: Session, score: Score | None) -> Score | None:
    """The score if it was made after the last action of this session."""
    return score if score is not None and score.at_ms == session.last_ms else None
