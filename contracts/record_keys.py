"""The key of an event's record in Kafka, which decides the partition."""

from contracts.events import NOBODY, Event
from contracts.fields import InvalidEvent
from contracts.partitioning import partition_of


def id_in_key(key: bytes | None, event: Event) -> str:
    """The visitor's id if it is the record's key, or the customer's; raises `InvalidEvent` if neither is."""
    if key == event.user_id.encode():
        return event.user_id
    if event.customer_id is None:
        raise InvalidEvent(
            "key.not_user_id", "the record's key must be the user_id, which decides the partition"
        )
    if event.customer_id not in NOBODY and key == event.customer_id.encode():
        return event.customer_id
    raise InvalidEvent(
        "key.not_anonymous_id",
        "the record's key must be the anonymous_id, which decides the partition; the user_id is accepted too",
    )


def check_place(id_: str, partition: int, partitions: int) -> None:
    """Raise `InvalidEvent` for a record in another partition, of so many, than that of the id in its key."""
    home = partition_of(id_, partitions)
    if home != partition:
        raise InvalidEvent(
            "partition.not_of_key",
            f"the record is in partition {partition}, but Kafka's default partitioner (murmur2) puts "
            f"its key into {home} of {partitions}: set that partitioner in the producer",
        )


def is_of_elsewhere(id_: str, event: Event, partition: int, partitions: int) -> bool:
    """Whether the record, keyed by the customer, is forwarded to the partition of its visitor."""
    return id_ != event.user_id and partition_of(event.user_id, partitions) != partition
