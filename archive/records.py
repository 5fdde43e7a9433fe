"""From Kafka records to rows: every record becomes a row or is counted as what it is."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from contracts.events import InvalidEvent, Statement, decode, statement_in
from contracts.log_records import LogRecord
from contracts.record_keys import check_place, id_in_key, is_of_elsewhere
from sources.archive.schema import to_row

REJECTED, FORWARDED, INTERNAL = "rejected", "forwarded", "internal"
"""What is no row: a dead letter, a record that its partition forwards, what workers tell each other."""


class Place(NamedTuple):
    """Whence records come: plain topic, and the partition of so many."""

    topic: str
    partition: int
    partitions: int


def event_rows(
    records: Iterable[LogRecord], place: Place, *, currency: str
) -> tuple[list[tuple[Any, ...]], Counter[str]]:
    """Rows of the events in records of an event topic, and how many records are none, by what they are.

    It takes what workers count and nothing else: the same rules, by the same functions.
    """
    rows: list[tuple[Any, ...]] = []
    left_out: Counter[str] = Counter()
    topic, partition, partitions = place
    for record in records:
        try:
            event = decode(record.value, received_ms=record.timestamp, default_currency=currency)
            id_ = id_in_key(record.key, event)
            check_place(id_, partition, partitions)
        except InvalidEvent:
            left_out[REJECTED] += 1
            continue
        if is_of_elsewhere(id_, event, partition, partitions):
            left_out[FORWARDED] += 1
            continue
        statement: Statement | None = statement_in(event)
        if statement is not None and statement.is_internal:
            left_out[INTERNAL] += 1
            continue
        rows.append(to_row(event, topic, partition, record.offset, record.timestamp))
    return rows, left_out


def plain_rows(records: Iterable[LogRecord], place: Place) -> list[tuple[Any, ...]]:
    """Rows of the records of any other topic, as they are."""
    topic, partition, _ = place
    return [
        (record.key, record.value, topic, partition, record.offset, record.timestamp) for record in records
    ]
