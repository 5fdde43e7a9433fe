"""What the sender of events is told."""

from enum import StrEnum

from pydantic import Field

from readers.answers import Answer


class Dedupe(StrEnum):
    """By what a repetition of the accepted events is recognised; the weakest of a request is told."""

    EVENT_ID = "event_id"
    DERIVED = "derived"
    """At least one names no `event_id`: the same content with the same `event_time` is the same event."""
    NONE = "none"
    """At least one names neither `event_id` nor `event_time`: every repetition is another event."""


class Refusal(Answer):
    """One event that breaks a rule."""

    index: int = Field(
        ge=0, description="Place in the array or batch, or among the lines that are not blank; from 0"
    )
    code: str = Field(description="Field and rule, such as price.negative; stable")
    detail: str = Field(description="What is expected; never what came")
    event_id: str | None = Field(description="null: the event names none, or not a valid one")


class Receipt(Answer):
    """What became of the events of one request; the four numbers add up to the events sent."""

    request_id: str = Field(description="Also in the header `X-Request-Id`, our log, and the Kafka records")
    accepted: int = Field(ge=0, description="Events that Kafka has written to every replica in sync")
    duplicates: int = Field(
        ge=0, description="Events whose visitor and event_id an earlier event of this request has"
    )
    rejected: int = Field(ge=0, description="Events that break a rule: `errors` has one each")
    dropped: int = Field(ge=0, description="Events left out because the visitor objects to being followed")
    dedupe: Dedupe = Field(
        description="What tells a repetition. event_id: every event has one; derived: some need the digest "
        "of their content; none: some have neither id nor time, and repeating them counts again"
    )
    redacted: int = Field(
        ge=0, description="Accepted events in which an e-mail address or a card number was replaced"
    )
    clock_offset_ms: int = Field(
        description="What was added to every event_time, from sent_at; 0 without it, or if over 24 h"
    )
    dry_run: bool = Field(description="true: nothing was stored, for `validate=1` asked so")
    errors: list[Refusal] = Field(description="One per rejected event, in the order they came")


class EventsProblem(Answer):
    """A problem document; `errors` is there if the events were the reason."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[Refusal] = Field(default_factory=list)
