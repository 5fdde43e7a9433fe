"""Parameters of the paths about alerts, and what they mean."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.http.errors import InvalidQuery
from api.http.query_times import parse_time
from contracts.alerts import MAX_VALUE_MINOR, AlertState, Segment, Severity
from contracts.fields import MAX_ID_CHARS
from contracts.subjects import InvalidSubject, Subject, parse_subject
from readers.alerts.handling import HandlingState
from readers.alerts.kinds import AlertKind
from readers.alerts.log import START, AlertFilter, Cursor, parse_cursor

MAX_PAGE = 500
_MAX_SUBJECT = MAX_ID_CHARS + 20
_SUBJECT = {"pattern": "^(site|(visitor|customer|product|category):.+)$"}
_CURSOR = {"pattern": "^[0-9]{1,19}-[0-9]{1,19}$"}
_AFTER = Field(
    None,
    max_length=41,
    description="`next` of the previous answer; default: from the oldest stored",
    json_schema_extra={**_CURSOR},
)


class AlertSelection(BaseModel):
    """Which steps are wanted, by what stands in them; none given wants all."""

    model_config = ConfigDict(extra="forbid")

    kind: AlertKind | None = Field(None, description="Kind of alert")
    severity: Severity | None = Field(None, description="Only this severity")
    min_severity: Severity | None = Field(None, description="This severity or higher")
    min_value_minor: int | None = Field(
        None,
        ge=1,
        le=MAX_VALUE_MINOR,
        description="Only carts worth at least this much, in minor units, by known prices",
    )
    state: AlertState | None = Field(None, description="Only steps that enter this state")
    segment: Segment | None = Field(None, description="new: the visitor's first known session")
    subject: str | None = Field(
        None,
        min_length=1,
        max_length=_MAX_SUBJECT,
        description="Subject of the alert: visitor:ID, product:ID or site",
        json_schema_extra={**_SUBJECT},
    )

    def to_filter(self, since_ms: int | None = None) -> AlertFilter:
        """The same as a filter; raises `InvalidQuery`."""
        return AlertFilter(
            self.kind,
            self.severity,
            self.state,
            since_ms,
            self.min_severity,
            self.min_value_minor,
            self.segment,
            None if self.subject is None else to_subject(self.subject),
        )


class AlertPull(AlertSelection):
    """Selection, and where to begin."""

    handling: HandlingState | None = Field(None, description="Only alerts whose current handling is this")
    since: str | None = Field(
        None, max_length=40, description="Only steps at this event time or later; RFC 3339 or epoch ms"
    )
    after: str | None = _AFTER

    def parse_since(self) -> int | None:
        """Epoch ms; raises `InvalidQuery`."""
        return None if self.since is None else parse_time("since", self.since)


class AlertQuery(AlertPull):
    """Parameters of `/v1/alerts`."""

    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Maximum number of steps")
    newest: bool = Field(False, description="Return the newest steps instead of the oldest; not with `after`")

    def check(self) -> None:
        """Raises `InvalidQuery` for parameters that contradict each other."""
        if self.newest and self.after is not None:
            raise InvalidQuery("newest", "with_after", "cannot be combined with after")


class AlertExportQuery(AlertPull):
    """Parameters of `/v1/alerts.csv`."""

    limit: int | None = Field(
        None, ge=1, le=5_000, description="Maximum number of rows; default: everything stored"
    )
    columns: Literal["visitor", "all"] = Field(
        "visitor", description="all: adds the columns `subject` and `detail` before the cursor"
    )


class AlertStreamQuery(AlertSelection):
    """Parameters of `/v1/alerts/stream`."""

    after: str | None = Field(
        None,
        max_length=41,
        description="Start after this id; `0-0`: from the oldest stored; default: now",
        json_schema_extra={**_CURSOR},
    )
    ticket: str | None = Field(
        None, max_length=100, description="A ticket from `/v1/stream-tickets`, instead of a key"
    )


def to_subject(text: str) -> Subject:
    """The subject in a parameter; raises `InvalidQuery`."""
    try:
        return parse_subject(text)
    except InvalidSubject:
        raise InvalidQuery(
            "subject", "not_subject", "must be such as visitor:ID, product:ID or site"
        ) from None


def to_cursor(text: str | None) -> Cursor:
    """The cursor in `after`, the beginning for None; raises `InvalidQuery`."""
    if text is None:
        return START
    try:
        return parse_cursor(text)
    except ValueError:
        raise InvalidQuery("after", "not_cursor", "must be `next` of an earlier answer") from None
