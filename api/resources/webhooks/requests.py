"""What may be asked about webhooks."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.alerts import MAX_VALUE_MINOR, AlertState, Severity
from delivery.webhooks.endpoints import Filters
from delivery.webhooks.quiet_hours import PATTERN
from delivery.webhooks.targets import MAX_URL_LENGTH
from readers.alerts.kinds import AlertKinds

MAX_OVERLAP_H = 7 * 24
QUIET_PATTERN = rf"^$|{PATTERN}"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="https://HOST[:PORT]/PATH",
        json_schema_extra={"format": "uri"},
    ),
]
Description = Annotated[str, Field(max_length=200, pattern=_PRINTABLE, description="For people")]
Kinds = Annotated[AlertKinds, Field(description="Empty: all kinds")]
States = Annotated[list[AlertState], Field(max_length=len(AlertState), description="Empty: all states")]
MinValue = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_VALUE_MINOR,
        description="Only alerts about carts worth at least this much, in minor units (5000 is 50.00), by "
        "known "
        "prices; 0: all alerts",
    ),
]


QuietTimes = Annotated[
    str,
    Field(
        max_length=11,
        pattern=QUIET_PATTERN,
        description="HH:MM-HH:MM, in the shop's time zone: nothing is sent then, and what came meanwhile is "
        "sent when they end; empty: none",
        examples=["22:00-08:00"],
    ),
]


class NewWebhook(BaseModel):
    """A receiver of alerts."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://crm.example.com/storepulse", "kinds": ["cart_abandoned"]}]
        },
    )

    url: Url
    description: Description = ""
    kinds: Kinds = []
    states: States = []
    min_severity: Severity = Severity.LOW
    min_value_minor: MinValue = 0
    quiet_hours: QuietTimes = ""

    def to_filters(self) -> Filters:
        """What it wants."""
        return Filters(
            tuple(sorted(set(self.kinds))),
            tuple(sorted(set(self.states))),
            self.min_severity,
            self.min_value_minor or None,
        )


class WebhookChange(BaseModel):
    """Fields to change; absent fields stay. `active` also re-enables a disabled endpoint."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "paused"}]})

    url: Url | None = None
    description: Description | None = None
    kinds: Kinds | None = None
    states: States | None = None
    min_severity: Severity | None = None
    min_value_minor: MinValue | None = None
    quiet_hours: QuietTimes | None = None
    state: Literal["active", "paused"] | None = None


class Rotation(BaseModel):
    """How long the previous secret stays valid beside the new one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_h": 24}]})

    overlap_h: float = Field(
        24,
        strict=True,
        ge=0,
        le=MAX_OVERLAP_H,
        description="Hours; 0: the previous secret is invalid at once",
    )


class Replay(BaseModel):
    """From when to send again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"since": "2025-10-09T08:00:00Z"}]}
    )

    since: str = Field(
        max_length=40, description="Send steps published at this time or later; RFC 3339 or epoch ms"
    )
