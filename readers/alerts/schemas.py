"""Answers about alerts."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from pydantic import ConfigDict, Field

from contracts import alerts
from contracts.alerts import AlertState, OfferKind, Segment, Severity, Verdict
from readers.alerts.handling import NOTHING_SAID, Handled, HandlingState
from readers.alerts.kinds import AlertKind
from readers.alerts.log import CACHED_STEPS
from readers.answers import Answer, Money, TimedAnswer, to_money
from readers.intervals import to_datetime

EXAMPLE: dict[str, Any] = {
    "record_id": "b7c4d1a0e59f4c22a1f0b3d4-firing",
    "alert_id": "b7c4d1a0e59f4c22a1f0b3d4",
    "kind": "churn_risk",
    "state": "firing",
    "severity": "medium",
    "user_id": "visitor-17",
    "session_id": "ed255878e41deaed",
    "session": 3,
    "segment": "returning",
    "session_started_at": "2025-10-09T08:41:02Z",
    "episode": 1,
    "at": "2025-10-09T08:53:20.250Z",
    "fired_at": "2025-10-09T08:53:20.250Z",
    "live": True,
    "cart_lines": 2,
    "cart_value": {"currency": "EUR", "amount_minor": 5_990, "amount": "59.90"},
    "purchase_probability": 0.08,
    "threshold": 0.15,
    "model": "5f0c1a52f4a4",
    "reasons": ["no action for 3 minutes"],
    "offer": {
        "kind": "cart",
        "names": ["p00054", "p00427"],
        "words": "2 products worth 59.90 EUR in the cart: p00054, p00427",
    },
    "handling": {
        "state": "acknowledged",
        "by": "k7f3a9",
        "at": "2025-10-09T08:54:02.118Z",
        "until": None,
        "feedback": None,
    },
}


class Feedback(Answer):
    """The last verdict on an alert."""

    verdict: Verdict
    note: str | None
    by: str = Field(description="Id of the key; empty where none is needed")
    at: datetime


class Handling(Answer):
    """What is being done about an alert. `by` and `at` are of the state; null while it is open."""

    state: HandlingState
    by: str | None = Field(description="Id of the key; empty where none is needed; null while it is open")
    at: datetime | None
    until: datetime | None = Field(description="End of the snooze; null unless it is snoozed")
    feedback: Feedback | None = Field(description="null: nobody has judged it")


class Offer(Answer):
    """What to offer: products of the cart, most valuable first, or one brand or category."""

    kind: OfferKind
    names: list[str]
    words: str


class Alert(Answer):
    """One step in the life of an alert: firing, then resolved (the visitor bought) or expired."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    record_id: str = Field(description="The same for every copy of this step: drop repeats by it")
    alert_id: str = Field(description="The same for all steps of one alert")
    kind: AlertKind
    state: AlertState
    severity: Severity = Field(description="By the value of the cart, else its number of products")
    user_id: str
    session_id: str | None
    session: int = Field(description="1 is the first session of this visitor")
    segment: Segment = Field(description="new: in the first session known of the visitor; else returning")
    session_started_at: datetime
    episode: int = Field(description="Counts alerts of a kind in a session, from 1")
    at: datetime = Field(description="Event time of this step")
    fired_at: datetime
    live: bool = Field(description="False: from a replay or a very late event; recorded, not to be acted on")
    cart_lines: int = Field(description="Products in the cart when it fired")
    cart_value: Money | None = Field(description="When it fired; null: no price is known")
    purchase_probability: float | None = Field(description="When it fired; null: no model was asked")
    threshold: float | None = Field(description="It fires under this; null: none applies")
    model: str | None = Field(description="Version of the model; null: no model was asked")
    reasons: list[str] = Field(description="In words, strongest first; only of the firing step")
    offer: Offer | None = Field(description="What to suggest to the visitor; only of the firing step")
    handling: Handling = Field(description="Of the alert, now: the same in all its steps")


class Alerts(TimedAnswer):
    """Steps of alerts in the order they were published, oldest first."""

    alerts: list[Alert]
    next: str = Field(description="Cursor: give it as `after` to go on; it moves on past filtered steps too")
    more: bool = Field(description="True: ask again at once; false: nothing newer is there yet")
    reset: bool = Field(
        description="True: steps behind `after` are no longer kept, this answer begins at the oldest kept"
    )


class AlertLife(Answer):
    """One alert: its steps as far as they are kept, oldest first, and what is being done about it."""

    alert_id: str
    state: AlertState = Field(description="The state it is in now")
    steps: list[Alert]
    handling: Handling


class AlertHandling(Answer):
    """What is being done about an alert after the request."""

    alert_id: str
    handling: Handling


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


def _dump(alert: Alert) -> bytes:
    return alert.model_dump_json(by_alias=True).encode()


def to_alert(alert: alerts.Alert, handling: Handling = _OPEN) -> Alert:
    """The step as the API shows it."""
    value = None
    detail: alerts.VisitorDetail = alert.detail
    if detail.cart_value_minor is not None and detail.currency is not None:
        value = to_money({detail.currency: detail.cart_value_minor})[0]
    offer = detail.offer
    return Alert(
        record_id=alert.record_id,
        alert_id=alert.alert_id,
        kind=AlertKind(alert.kind),
        state=alert.state,
        severity=alert.severity,
        user_id=alert.subject.id,
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
        purchase_probability=detail.purchase,
        threshold=alert.threshold,
        model=alert.model,
        reasons=list(alert.reasons),
        offer=None if offer is None else Offer(kind=offer.kind, names=list(offer.names), words=offer.words),
        handling=handling,
    )
