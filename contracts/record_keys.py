"""The key of an event's record in Kafka, which decides the partition."""

from contracts.events import NOBODY, Event
from contracts.fields import InvalidEvent


def id_in_key(key: bytes | None, event: Event) -> str:
    """The visitor's id if it is the record's key, or the customer's; raises `InvalidEvent` if neither is."""
    if key == event.user_id.encode():
        return event.user_id
    if event.customer_id is None:
        raise InvalidEvent(
            "key.not_user_id", "the record's key must be the user_id, it decides the partition"
        )
    if event.customer_id not in NOBODY and key == event.customer_id.encode():
        return event.customer_id
    raise InvalidEvent(
        "key.not_anonymous_id",
        "the record's key must be the anonymous_id, it decides the partition; the user_id does as well",
    )
