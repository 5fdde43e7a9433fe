"""Answers about alerts."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from contracts.alerts import FLAT_KINDS, AlertState, OfferKind, Segment, Severity, Verdict, kind_names
from contracts.subjects import SubjectKind
from readers.alerts.handling import HandlingState
from readers.alerts.kinds import AlertKind
from readers.answers import Answer, Money, TimedAnswer

EXAMPLE: dict[str, Any] = {
    "record_id": "b7c4d1a0e59f4c22a1f0b3d4-firing",
    "alert_id": "b7c4d1a0e59f4c22a1f0b3d4",
    "kind": "churn_risk",
    "state": "firing",
    "severity": "medium",
    "user_id": "visitor-17",
    "customer_id": "customer-97",
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
    "value_at_risk": {"currency": "EUR", "amount_minor": 5_511, "amount": "55.11"},
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
    by: str = Field(description="Id of the key; empty if no key is needed")
    at: datetime


class Handling(Answer):
    """What is being done about an alert. `by` and `at` are of the state; null while it is open."""

    state: HandlingState
    by: str | None = Field(description="Id of the key; empty if no key is needed; null while open")
    at: datetime | None
    until: datetime | None = Field(description="End of the snooze; null unless snoozed")
    feedback: Feedback | None = Field(description="null: no verdict yet")


class Offer(Answer):
    """What to offer: products of the cart, most valuable first, or one brand or category."""

    kind: OfferKind
    names: list[str]
    words: str


class Alert(Answer):
    """One step in the life of an alert: firing, then resolved (the visitor bought) or expired."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    record_id: str = Field(description="Identifies this step: use it to drop duplicates")
    alert_id: str = Field(description="The same for all steps of one alert")
    kind: AlertKind
    state: AlertState
    severity: Severity = Field(
        description="By the value at risk, or the number of products if no price is known"
    )
    user_id: str
    customer_id: str | None = Field(description="Who is logged in on the visitor's device; null: nobody")
    session_id: str | None
    session: int = Field(description="1 is the first session of this visitor")
    segment: Segment = Field(description="new: the visitor's first known session; otherwise returning")
    session_started_at: datetime
    episode: int = Field(description="Number of the alert of this kind in the session, from 1")
    at: datetime = Field(description="Event time of this step")
    fired_at: datetime
    live: bool = Field(
        description="False: from a replay or a very late event; recorded, but do not act on it"
    )
    cart_lines: int = Field(description="Products in the cart when it fired")
    cart_value: Money | None = Field(description="At the time of firing; null: no price is known")
    value_at_risk: Money | None = Field(
        description="The cart's value times the chance that nothing is bought"
    )
    purchase_probability: float | None = Field(
        description="At the time of firing, after any silence; null: no model was asked"
    )
    threshold: float | None = Field(description="The alert fires below this probability; null: none applies")
    model: str | None = Field(description="Version of the model; null: no model was asked")
    reasons: list[str] = Field(description="Why it fired, strongest first; only in the firing step")
    offer: Offer | None = Field(description="What to offer the visitor; only in the firing step")
    handling: Handling = Field(description="Current handling of the alert; the same in all its steps")


class AlertSubject(Answer):
    """What the alert is about."""

    kind: SubjectKind
    id: str


class SubjectAlert(Answer):
    """One step in the life of an alert of a kind that an extension has: about any subject."""

    record_id: str = Field(description="Identifies this step: use it to drop duplicates")
    alert_id: str = Field(description="The same for all steps of one alert")
    kind: str = Field(description="A registered kind, or one of an extension that only the workers have")
    state: AlertState
    severity: Severity
    subject: AlertSubject
    customer_id: str | None = Field(description="Who is logged in on a visitor's device; null: nobody")
    episode: int = Field(description="Number of the alert of this kind about the subject, from 1")
    at: datetime = Field(description="Event time of this step")
    fired_at: datetime
    live: bool = Field(
        description="False: from a replay or a very late event; recorded, but do not act on it"
    )
    detail: dict[str, Any] = Field(description="Fields of this kind, at the time of firing")
    threshold: float | None
    model: str | None = Field(description="Version of the model; null: no model was asked")
    reasons: list[str] = Field(description="Why it fired, strongest first; only in the firing step")
    handling: Handling = Field(description="Current handling of the alert; the same in all its steps")


if TYPE_CHECKING:
    AlertStep = Alert | SubjectAlert
else:  # an installation without extensions documents, and has, no others
    AlertStep = Alert if kind_names() == FLAT_KINDS else Alert | SubjectAlert


class AlertPage(TimedAnswer):
    """Steps of alerts in the order they were published, oldest first."""

    alerts: list[AlertStep]
    next: str = Field(description="Cursor: pass it as `after` to continue; it also moves past filtered steps")
    more: bool = Field(description="True: ask again at once; false: nothing newer yet")
    reset: bool = Field(
        description="True: steps after `after` are no longer stored; this answer starts at the oldest stored"
    )


class AlertLife(Answer):
    """One alert: its stored steps, oldest first, and its handling."""

    alert_id: str
    state: AlertState = Field(description="Current state")
    steps: list[AlertStep]
    handling: Handling


class AlertHandling(Answer):
    """The handling of an alert after the request."""

    alert_id: str
    handling: Handling
