"""What the sender of events is told."""

from enum import StrEnum

from pydantic import Field

from api.openapi.problem_document import ElementRefusal, ElementsProblem
from readers.answers import Answer


class Dedupe(StrEnum):
    """How repeats of the accepted events are recognised; for a request, the weakest way of its events."""

    EVENT_ID = "event_id"
    DERIVED = "derived"
    """At least one names no `event_id`: the same content with the same `event_time` is the same event."""
    NONE = "none"
    """At least one names neither `event_id` nor `event_time`: every repetition is another event."""


class Refusal(ElementRefusal):
    """One event that breaks a rule."""

    event_id: str | None = Field(description="null: the event has none, or an invalid one")


class Receipt(Answer):
    """What became of the events of one request; the four numbers add up to the events sent."""

    request_id: str = Field(description="Also in the header `X-Request-Id`, the log, and the Kafka records")
    accepted: int = Field(ge=0, description="Events that Kafka has written to all in-sync replicas")
    duplicates: int = Field(
        ge=0, description="Events with the same visitor and event_id as an earlier event of this request"
    )
    rejected: int = Field(ge=0, description="Events that break a rule; each has an entry in `errors`")
    dropped: int = Field(ge=0, description="Events dropped because the visitor opted out of tracking")
    dedupe: Dedupe = Field(
        description="How repeats are recognised. event_id: every event has one; derived: some by a digest of "
        "their content; none: some have neither id nor time, and count again when repeated"
    )
    redacted: int = Field(
        ge=0, description="Accepted events in which an e-mail address or card number was redacted"
    )
    clock_offset_ms: int = Field(description="Added to every event_time to correct the sender's clock")
    dry_run: bool = Field(description="true: nothing was stored, because `validate=1` was set")
    errors: list[Refusal] = Field(description="One per rejected event, in the order of the request")


class EventsProblem(ElementsProblem):
    """A problem document; `errors` is present if the events were the reason."""

    errors: list[Refusal] = Field(default_factory=list)
