"""An endpoint: whose URL is told of which alerts, with which secrets, and whether it is at work."""

import re
import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

import orjson

from contracts.alerts import Alert, AlertState, Severity
from delivery.webhooks.quiet_hours import QuietHours
from readers.alerts.log import value_minor_of

_ENDPOINT_ID = re.compile(r"ep_[0-9a-f]{16}", re.ASCII)
_SEVERITIES = tuple(Severity)


class EndpointState(StrEnum):
    """active; paused keeps what comes meanwhile; disabled skips it."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint was disabled."""

    GONE = "receiver_gone"
    """It answered 410."""
    FAILING = "receiver_failing"
    """Nothing but failures for days."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One signing secret. `until_ms` is the end of its overlap; None for the current one."""

    text: str = field(repr=False)
    created_ms: int
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which steps of alerts are wanted; an empty tuple wants all.

    A cart without a known price passes no `min_value_minor`, nor does what has no cart.
    """

    kinds: tuple[str, ...] = ()
    states: tuple[AlertState, ...] = ()
    min_severity: Severity = Severity.LOW
    min_value_minor: int | None = None

    def takes(self, alert: Alert) -> bool:
        """Whether this step is wanted. What is recorded only (`live` false) never is."""
        return (
            alert.live
            and (not self.kinds or alert.kind in self.kinds)
            and (not self.states or alert.state in self.states)
            and _SEVERITIES.index(alert.severity) >= _SEVERITIES.index(self.min_severity)
            and (self.min_value_minor is None or value_minor_of(alert) >= self.min_value_minor)
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One registered receiver. `reason`: why it is disabled. `owner`: id of the key that made it.

    In `quiet_hours` nothing is sent; what comes meanwhile waits for their end.
    """

    endpoint_id: str
    url: str
    description: str
    filters: Filters
    secrets: tuple[Secret, ...]
    created_ms: int
    owner: str
    state: EndpointState = EndpointState.ACTIVE
    reason: DisabledReason | None = None
    changed_ms: int = 0
    quiet_hours: str = ""

    def signing_secrets(self, now_ms: int) -> tuple[str, ...]:
        """The secrets to sign with now, the newest first."""
        return tuple(s.text for s in self.secrets if s.until_ms is None or s.until_ms > now_ms)

    def rotate(self, text: str, *, now_ms: int, overlap_ms: int) -> Self:
        """With a new secret; the one before signs beside it until the overlap is over, older ones no more."""
        old = replace(self.secrets[0], until_ms=now_ms + overlap_ms)
        kept = (old,) if overlap_ms else ()
        return replace(self, secrets=(Secret(text, now_ms), *kept), changed_ms=now_ms)

    def turn(self, state: EndpointState, *, now_ms: int, reason: DisabledReason | None = None) -> Self:
        """In another state."""
        return replace(self, state=state, reason=reason, changed_ms=now_ms)


def make_endpoint_id() -> str:
    """An id nobody can guess."""
    return f"ep_{secrets.token_hex(8)}"


def is_endpoint_id(text: str) -> bool:
    """Whether an endpoint may have this id."""
    return _ENDPOINT_ID.fullmatch(text) is not None


def encode_endpoint(endpoint: Endpoint) -> bytes:
    """The endpoint with its secrets as JSON; `decode_endpoint` gives it back."""
    return orjson.dumps(endpoint)


def decode_endpoint(raw: bytes) -> Endpoint:
    """The endpoint in `raw`; raises `KeyError`, `TypeError` or `ValueError` for what we never wrote."""
    fields: dict[str, Any] = orjson.loads(raw)
    if not all(type(fields[name]) is str for name in ("endpoint_id", "url", "owner")):
        raise ValueError("id, URL and owner of an endpoint must be texts")
    filters = fields["filters"]
    reason = fields["reason"]
    quiet_hours = fields.get("quiet_hours", "")  # earlier versions wrote none
    if quiet_hours:
        QuietHours.parse(quiet_hours)
    return Endpoint(
        **fields
        | {
            "filters": Filters(
                tuple(filters["kinds"]),
                tuple(AlertState(state) for state in filters["states"]),
                Severity(filters["min_severity"]),
                filters.get("min_value_minor"),  # earlier versions wrote none
            ),
            "secrets": tuple(Secret(**secret) for secret in fields["secrets"]),
            "state": EndpointState(fields["state"]),
            "reason": None if reason is None else DisabledReason(reason),
            "quiet_hours": quiet_hours,
        }
    )
