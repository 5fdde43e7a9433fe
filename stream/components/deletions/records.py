"""From Kafka records to deletions: every record becomes one or a dead letter, none is dropped."""

from collections.abc import Iterable
from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.deletions import Deletion, InvalidDeletion, decode_deletion
from stream.batch.records import Record


class DeletionRecord(NamedTuple):
    """One record of the deletions on its way through the stream; `record_ms` is its timestamp.

    With neither deletion nor letter it stands for the end of a log whose newest records are gone.
    """

    offset: int
    record_ms: int
    deletion: Deletion | None
    letter: DeadLetter | None


def read_deletions(
    records: Iterable[Record], *, topic: str, partition: int, now_ms: int
) -> list[DeletionRecord]:
    """One marker per record, in order; what is no deletion becomes a dead letter."""
    deletion_records = []
    for record in records:
        try:
            deletion = decode_deletion(record.value)
        except InvalidDeletion as exc:
            letter = DeadLetter(
                exc.code, exc.detail, topic, partition, record.offset, record.key, record.value, now_ms
            )
            deletion_records.append(DeletionRecord(record.offset, record.timestamp, None, letter))
        else:
            deletion_records.append(DeletionRecord(record.offset, record.timestamp, deletion, None))
    return deletion_records


def read_to(
    end: int, records: Iterable[Record], *, topic: str, partition: int, now_ms: int
) -> list[DeletionRecord]:
    """The deletions of all records up to `end`, the next offset; one more where the last of them is gone."""
    deletion_records = read_deletions(records, topic=topic, partition=partition, now_ms=now_ms)
    if not deletion_records or deletion_records[-1].offset < end - 1:
        deletion_records.append(DeletionRecord(end - 1, 0, None, None))
    return deletion_records
