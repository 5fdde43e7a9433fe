"""Answers about webhooks."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from contracts.alerts import AlertState, Severity
from delivery.webhooks.deliveries import Attempt, DeliveryStatus, Result
from delivery.webhooks.delivery_log import EndpointStatus, Logged
from delivery.webhooks.endpoints import DisabledReason, Endpoint, EndpointState
from readers.alerts.kinds import AlertKind
from readers.answers import Answer
from readers.intervals import to_datetime


class SigningSecret(Answer):
    """A secret, which is shown only when it is made."""

    created_at: datetime
    until: datetime | None = Field(description="End of its overlap; null: the current one")


class WebhookStatus(Answer):
    """How it stands with the deliveries."""

    pending: int = Field(description="Deliveries that wait for an attempt")
    oldest_pending_at: datetime | None = Field(description="Since when the oldest waits; null: none does")
    missed: int = Field(description="Steps, at least, that were no longer kept when there was room for them")
    missed_at: datetime | None
    resting_until: datetime | None = Field(description="The receiver asked to be spared; null: it did not")
    failing_since: datetime | None = Field(description="After 5 days of only failures it is disabled")
    succeeded_at: datetime | None
    replaying: bool
    delivering: bool = Field(description="False: no process delivers to it now")


EXAMPLE: dict[str, Any] = {
    "id": "ep_3f1c7a90b2d4e865",
    "url": "https://crm.example.com/storepulse",
    "description": "",
    "kinds": ["cart_abandoned"],
    "states": [],
    "min_severity": "low",
    "state": "active",
    "reason": None,
    "created_at": "2025-10-09T08:41:02Z",
    "created_by": "k7f3a9",
    "changed_at": "2025-10-09T08:41:02Z",
    "secrets": [{"created_at": "2025-10-09T08:41:02Z", "until": None}],
    "status": {
        "pending": 0,
        "oldest_pending_at": None,
        "missed": 0,
        "missed_at": None,
        "resting_until": None,
        "failing_since": None,
        "succeeded_at": "2025-10-09T08:53:20.412Z",
        "replaying": False,
        "delivering": True,
    },
}


class Webhook(Answer):
    """One endpoint."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    url: str
    description: str
    kinds: list[AlertKind] = Field(description="Empty: all")
    states: list[AlertState] = Field(description="Empty: all")
    min_severity: Severity
    state: EndpointState = Field(description="paused keeps what comes meanwhile, disabled skips it")
    reason: DisabledReason | None = Field(description="Why it is disabled")
    created_at: datetime
    created_by: str = Field(description="Id of the key; empty where none is needed")
    changed_at: datetime
    secrets: list[SigningSecret]
    status: WebhookStatus


class WebhookWithSecret(Webhook):
    """One endpoint and its new secret, which is not shown again."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": EXAMPLE | {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDxkqgMfSNfyg="}
        }
    )

    secret: str = Field(description="`whsec_` and base64 of 32 bytes; keep it, it is not shown again")


class Webhooks(Answer):
    """All endpoints, the oldest first."""

    webhooks: list[Webhook]


class DeliveryAttempt(Answer):
    """One attempt."""

    at: datetime
    took_ms: int
    result: Result
    status: int | None = Field(description="Of the answer; null: none came")
    detail: str
    answer: str | None = Field(description="Its first KB; null: none came")
    answer_cut: bool = Field(description="Reading stopped before its end")
    retry_after_s: float | None = Field(description="What the answer asked for, a day at most")


class WebhookDelivery(Answer):
    """One message on its way to one endpoint; `id` is the `webhook-id` that its receiver sees."""

    id: str
    type: str
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="null: there is none")
    n_attempts: int
    attempts: list[DeliveryAttempt] = Field(description="The newest 20, oldest first")


class WebhookDeliveries(Answer):
    """Deliveries, the newest first."""

    deliveries: list[WebhookDelivery]
    next: int | None = Field(description="Give it as `before` to go on; null: there is nothing more")


class ReplayStarted(Answer):
    """What was asked for."""

    replaying: bool = Field(description="False: nothing was published since then")


def to_webhook(endpoint: Endpoint, status: EndpointStatus, now_ms: int) -> dict[str, Any]:
    """The fields of `Webhook`."""
    filters = endpoint.filters
    return {
        "id": endpoint.endpoint_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "kinds": sorted(filters.kinds),
        "states": sorted(filters.states),
        "min_severity": filters.min_severity,
        "state": endpoint.state,
        "reason": endpoint.reason,
        "created_at": to_datetime(endpoint.created_ms),
        "created_by": endpoint.owner,
        "changed_at": to_datetime(endpoint.changed_ms),
        "secrets": [
            SigningSecret(created_at=to_datetime(one.created_ms), until=_moment(one.until_ms))
            for one in endpoint.secrets
            if one.until_ms is None or one.until_ms > now_ms
        ],
        "status": WebhookStatus(
            pending=status.pending,
            oldest_pending_at=_moment(status.oldest_ms),
            missed=status.missed,
            missed_at=_moment(status.missed_ms),
            resting_until=_moment(status.health.rest_until_ms)
            if status.health.rest_until_ms > now_ms
            else None,
            failing_since=_moment(status.health.streak.since_ms),
            succeeded_at=_moment(status.health.succeeded_ms),
            replaying=status.replaying,
            delivering=status.delivering,
        ),
    }


def to_delivery(logged: Logged) -> WebhookDelivery:
    """The delivery as the API shows it."""
    delivery = logged.delivery
    return WebhookDelivery(
        id=delivery.delivery_id,
        type=delivery.message_type,
        status=delivery.status,
        created_at=to_datetime(delivery.created_ms),
        next_attempt_at=_moment(logged.due_ms),
        n_attempts=delivery.n_attempts,
        attempts=[_to_attempt(attempt) for attempt in delivery.attempts],
    )


def _to_attempt(attempt: Attempt) -> DeliveryAttempt:
    return DeliveryAttempt(
        at=to_datetime(attempt.at_ms),
        took_ms=attempt.took_ms,
        result=attempt.result,
        status=attempt.status,
        detail=attempt.detail,
        answer=attempt.answer,
        answer_cut=attempt.cut,
        retry_after_s=attempt.retry_after_s,
    )


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else to_datetime(at_ms)
