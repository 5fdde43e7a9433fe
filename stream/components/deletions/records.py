"""From Kafka records to deletions: every record becomes one or a dead letter, none is dropped."""

from collections.abc import Iterable
from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.deletions import Deletion, InvalidDeletion, decode_deletion
from stream.batch.records import Record


class DeletionRecord(NamedTuple):
    """One record of the deletions on its way through the stream; `record_ms` is its timestamp."""

    offset: int
    record_ms: int
    deletion: Deletion | None
    letter: DeadLetter | None


def read_deletions(
    records: Iterable[Record], *, topic: str, partition: int, now_ms: int
) -> list[DeletionRecord]:
    """One item per record, in order; what is no deletion becomes a dead letter."""
    items = []
    for record in records:
        try:
            deletion = decode_deletion(record.value)
        except InvalidDeletion as exc:
            letter = DeadLetter(
                exc.code, exc.detail, topic, partition, record.offset, record.key, record.value, now_ms
            )
            items.append(DeletionRecord(record.offset, record.timestamp, None, letter))
        else:
            items.append(DeletionRecord(record.offset, record.timestamp, deletion, None))
    return items
