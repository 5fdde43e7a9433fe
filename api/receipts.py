"""What the sender of events is told."""

from pydantic import Field

from api.schemas import Answer


class Refusal(Answer):
    """One event that breaks a rule of the contract."""

    index: int = Field(description="Place in the array, from 0; 0 for a single event")
    code: str = Field(description="Field and rule, such as price.negative; stable")
    detail: str = Field(description="What is expected; never what came")
    event_id: str | None = Field(description="null: the event names none, or not a valid one")


class Receipt(Answer):
    """What became of the events of one request."""

    request_id: str
    accepted: int = Field(description="Events that Kafka has written to every replica in sync")
    rejected: int
    errors: list[Refusal] = Field(description="One per rejected event, in the order of the array")


class EventsProblem(Answer):
    """A problem document; `errors` is there if the events were the reason."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[Refusal] = Field(default_factory=list)
