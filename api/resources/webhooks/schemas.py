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
from readers.intervals import maybe_datetime, to_datetime

NO_DELIVERER = "No deliverer is running, so nothing is sent. Start one with `storepulse deliver`."


class SigningSecret(Answer):
    """A secret; it is shown only when it is created."""

    created_at: datetime
    until: datetime | None = Field(description="End of its overlap; null: the current one")


class WebhookStatus(Answer):
    """State of the deliveries."""

    pending: int = Field(description="Deliveries waiting for an attempt")
    oldest_pending_at: datetime | None = Field(
        description="Since when the oldest has been waiting; null: none is waiting"
    )
    missed: int = Field(
        description="Steps (at least) that were deleted from the log before there was room to queue them"
    )
    missed_at: datetime | None
    resting_until: datetime | None = Field(
        description="The receiver asked for a pause until then; null: it did not"
    )
    failing_since: datetime | None = Field(
        description="Since when every attempt has failed; after 5 days the webhook is disabled"
    )
    succeeded_at: datetime | None
    replaying: bool
    delivering: bool = Field(description="Whether a deliverer has started serving it")
    unread: int = Field(
        description="Alert steps for it that no deliverer has picked up yet; of the next 1,000 steps at most"
    )
    trouble: str | None = Field(
        description="Why nothing is being sent, and what to do; null: nothing is wrong"
    )


EXAMPLE: dict[str, Any] = {
    "id": "ep_3f1c7a90b2d4e865",
    "url": "https://crm.example.com/storepulse",
    "description": "",
    "kinds": ["cart_abandoned"],
    "states": [],
    "min_severity": "low",
    "min_value_minor": 0,
    "quiet_hours": "",
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
        "unread": 0,
        "trouble": None,
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
    min_value_minor: int = Field(description="Minimum value of the cart, in minor units; 0: none")
    quiet_hours: str = Field(description="Nothing is sent then, in the shop's time zone; empty: none")
    state: EndpointState = Field(
        description="paused: new alerts are kept for later; disabled: they are skipped"
    )
    reason: DisabledReason | None = Field(description="Why it is disabled")
    created_at: datetime
    created_by: str = Field(description="Id of the key; empty if no key is needed")
    changed_at: datetime
    secrets: list[SigningSecret]
    status: WebhookStatus


class WebhookWithSecret(Webhook):
    """One endpoint and its new secret, which cannot be shown again."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": EXAMPLE | {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDxkqgMfSNfyg="}
        }
    )

    secret: str = Field(description="`whsec_` and base64 of 32 bytes. Copy it now; it cannot be shown again")


class WebhookList(Answer):
    """All endpoints, the oldest first."""

    webhooks: list[Webhook]


class DeliveryAttempt(Answer):
    """One attempt."""

    at: datetime
    took_ms: int
    result: Result
    status: int | None = Field(description="Status of the answer; null: there was none")
    detail: str
    answer: str | None = Field(description="First KB of the answer; null: there was none")
    answer_cut: bool = Field(description="The answer was longer and was truncated")
    retry_after_s: float | None = Field(description="The answer's Retry-After, at most a day")


class WebhookDelivery(Answer):
    """One message on its way to one endpoint; `id` is the `webhook-id` that its receiver sees."""

    id: str
    type: str
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="null: none is planned")
    n_attempts: int
    attempts: list[DeliveryAttempt] = Field(description="The newest 20, oldest first")


class WebhookDeliveries(Answer):
    """Deliveries, the newest first."""

    deliveries: list[WebhookDelivery]
    next: int | None = Field(description="Pass it as `before` to continue; null: there is nothing more")


class ReplayStarted(Answer):
    """What was asked for."""

    replaying: bool = Field(description="False: nothing has been published since then")


def to_webhook(endpoint: Endpoint, status: EndpointStatus, unread: int, now_ms: int) -> dict[str, Any]:
    """The fields of `Webhook`; `unread` steps wait for a deliverer."""
    filters = endpoint.filters
    return {
        "id": endpoint.endpoint_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "kinds": sorted(filters.kinds),
        "states": sorted(filters.states),
        "min_severity": filters.min_severity,
        "min_value_minor": filters.min_value_minor or 0,
        "quiet_hours": endpoint.quiet_hours,
        "state": endpoint.state,
        "reason": endpoint.reason,
        "created_at": to_datetime(endpoint.created_ms),
        "created_by": endpoint.owner,
        "changed_at": to_datetime(endpoint.changed_ms),
        "secrets": [
            SigningSecret(created_at=to_datetime(one.created_ms), until=maybe_datetime(one.until_ms))
            for one in endpoint.secrets
            if one.until_ms is None or one.until_ms > now_ms
        ],
        "status": WebhookStatus(
            pending=status.pending,
            oldest_pending_at=maybe_datetime(status.oldest_ms),
            missed=status.missed,
            missed_at=maybe_datetime(status.missed_ms),
            resting_until=maybe_datetime(status.health.rest_until_ms)
            if status.health.rest_until_ms > now_ms
            else None,
            failing_since=maybe_datetime(status.health.streak.since_ms),
            succeeded_at=maybe_datetime(status.health.succeeded_ms),
            replaying=status.replaying,
            delivering=status.delivering,
            unread=unread,
            trouble=_trouble(endpoint, status),
        ),
    }


def _trouble(endpoint: Endpoint, status: EndpointStatus) -> str | None:
    if endpoint.state is not EndpointState.ACTIVE or status.has_deliverer:
        return None
    return NO_DELIVERER


def to_delivery(logged: Logged) -> WebhookDelivery:
    """The delivery as the API shows it."""
    delivery = logged.delivery
    return WebhookDelivery(
        id=delivery.delivery_id,
        type=delivery.message_type,
        status=delivery.status,
        created_at=to_datetime(delivery.created_ms),
        next_attempt_at=maybe_datetime(logged.due_ms),
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
