"""Steps of alerts, and what is being done about them, as the API, the streams and webhooks show them."""

from collections.abc import Iterable

import orjson

from contracts import alerts
from readers.alerts.handling import NOTHING_SAID, Handled, HandlingState
from readers.alerts.kinds import AlertKind
from readers.alerts.log import CACHED_STEPS
from readers.alerts.schemas import Alert, AlertStep, AlertSubject, Feedback, Handling, Offer, SubjectAlert
from readers.answers import Money, to_money
from readers.intervals import to_datetime


def to_handling(handled: Handled, now_ms: int) -> Handling:
    """What was said of an alert as the API shows it at this moment (wall clock)."""
    state = handled.state(now_ms)
    word = handled.snoozed if state is HandlingState.SNOOZED else handled.acknowledged
    feedback = None
    if handled.judged is not None and handled.verdict is not None:
        feedback = Feedback(
            verdict=handled.verdict,
            note=handled.note,
            by=handled.judged.by,
            at=to_datetime(handled.judged.at_ms),
        )
    return Handling(
        state=state,
        by=None if word is None else word.by,
        at=None if word is None else to_datetime(word.at_ms),
        until=to_datetime(handled.until_ms) if state is HandlingState.SNOOZED else None,
        feedback=feedback,
    )


_OPEN = to_handling(NOTHING_SAID, 0)


_open_texts: dict[int, tuple[alerts.Alert, orjson.Fragment]] = {}
"""JSON of steps of which nothing was said. The step is there to stay alive: so its id is no other's."""


def to_fragments(
    steps: Iterable[alerts.Alert], handled: Iterable[Handled], now_ms: int
) -> list[orjson.Fragment]:
    """The steps as JSON to be put into an answer, at this moment (wall clock)."""
    known = _open_texts.get
    return [
        (known(id(alert)) or _remember(alert))[1]
        if said is NOTHING_SAID
        else orjson.Fragment(_dump(to_alert(alert, to_handling(said, now_ms))))
        for alert, said in zip(steps, handled, strict=True)
    ]


def to_json(alert: alerts.Alert, handled: Handled, now_ms: int) -> bytes:
    """One step as JSON."""
    (fragment,) = to_fragments([alert], [handled], now_ms)
    return orjson.dumps(fragment)


def _remember(alert: alerts.Alert) -> tuple[alerts.Alert, orjson.Fragment]:
    # By identity: the log gives the same object for the same entry, and hashing all its fields costs more
    # than all else that a step takes here.
    if len(_open_texts) >= CACHED_STEPS:
        _open_texts.clear()
    known = _open_texts[id(alert)] = alert, orjson.Fragment(_dump(to_alert(alert)))
    return known


def _dump(alert: AlertStep) -> bytes:
    return alert.model_dump_json(by_alias=True).encode()


def to_alert(alert: alerts.Alert, handling: Handling = _OPEN) -> AlertStep:
    """The step as the API shows it."""
    return (
        _to_visitor_alert(alert, handling)
        if alert.kind in alerts.FLAT_KINDS
        else _to_subject_alert(alert, handling)
    )


def _to_subject_alert(alert: alerts.Alert, handling: Handling) -> SubjectAlert:
    return SubjectAlert(
        record_id=alert.record_id,
        alert_id=alert.alert_id,
        kind=alert.kind,
        state=alert.state,
        severity=alert.severity,
        subject=AlertSubject(kind=alert.subject.kind, id=alert.subject.id),
        customer_id=alert.customer_id,
        episode=alert.episode,
        at=to_datetime(alert.at_ms),
        fired_at=to_datetime(alert.fired_ms),
        live=alert.live,
        detail=alerts.plain_detail(alert.kind, alert.detail),
        threshold=alert.threshold,
        model=alert.model,
        reasons=list(alert.reasons),
        handling=handling,
    )


def _money(amount_minor: int | None, currency: str | None) -> Money | None:
    return None if amount_minor is None or currency is None else to_money({currency: amount_minor})[0]


def _to_visitor_alert(alert: alerts.Alert, handling: Handling) -> Alert:
    detail: alerts.VisitorDetail = alert.detail
    value = _money(detail.cart_value_minor, detail.currency)
    offer = detail.offer
    return Alert(
        record_id=alert.record_id,
        alert_id=alert.alert_id,
        kind=AlertKind(alert.kind),
        state=alert.state,
        severity=alert.severity,
        user_id=alert.subject.id,
        customer_id=alert.customer_id,
        session_id=detail.session_id,
        session=detail.session,
        segment=detail.segment,
        session_started_at=to_datetime(detail.session_start_ms),
        episode=alert.episode,
        at=to_datetime(alert.at_ms),
        fired_at=to_datetime(alert.fired_ms),
        live=alert.live,
        cart_lines=detail.cart_lines,
        cart_value=value,
        value_at_risk=_money(detail.at_risk_minor, detail.currency),
        purchase_probability=detail.purchase,
        threshold=alert.threshold,
        model=alert.model,
        reasons=list(alert.reasons),
        offer=None if offer is None else Offer(kind=offer.kind, names=list(offer.names), words=offer.words),
        handling=handling,
    )
