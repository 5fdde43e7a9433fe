"""Kafka records of events, products and dead letters."""

from typing import NamedTuple

from contracts.dead_letters import DeadLetter, encode_dead_letter
from contracts.events import MAX_EVENT_BYTES, Event, InvalidEvent, encode
from contracts.partitioning import partition_of
from contracts.product_records import ProductUpdate, encode_product
from contracts.topics import Topics


class Record(NamedTuple):
    """What goes to Kafka. Partition None: any. `headers` are names and values."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def event_record(event: Event, topics: Topics, partitions: int) -> Record:
    """The record of an event; raises `InvalidEvent` if no reader would take it because of its length."""
    value = encode(event)
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidEvent("event.too_large", f"must be at most {MAX_EVENT_BYTES} bytes, got {len(value)}")
    partition = partition_of(event.user_id, partitions)
    return Record(topics.of(event.event_type), partition, event.user_id.encode(), value)


def product_record(update: ProductUpdate, topics: Topics, partitions: int) -> Record:
    """The record of a product's facts; raises `InvalidEvent` if it is too long."""
    partition = partition_of(update.product_id, partitions)
    return Record(topics.products, partition, update.product_id.encode(), encode_product(update))


def letter_record(letter: DeadLetter, topics: Topics) -> Record:
    """The record of a dead letter, keyed by its id, with the header `id` that all letters have."""
    letter_id = letter.letter_id.encode("utf-8", "replace")
    return Record(topics.rejected, None, letter_id, encode_dead_letter(letter), (("id", letter_id),))
