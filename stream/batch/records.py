"""From Kafka records to entries: every record becomes an event or a dead letter, none is dropped."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from contracts.dead_letters import DeadLetter, cut
from contracts.events import InvalidEvent, decode
from contracts.log_records import LogRecord
from contracts.record_keys import check_place, id_in_key, is_of_elsewhere
from contracts.senders import client_of_record
from stream.batch.step import Entry, Forward


class UnreadableRecord(NamedTuple):
    """A record whose batch cannot be read; nobody knows more of it than its place and why."""

    offset: int
    timestamp: int
    timestamp_type: int
    reason: str
    key: None = None
    value: None = None
    headers: tuple[()] = ()


class Record(LogRecord, Protocol):
    """The part of aiokafka's records that the stream reads."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


_new_entry = partial(tuple.__new__, Entry)  # half the time of calling Entry


def read_records(
    records: Iterable[Record],
    *,
    topic: str,
    partition: int,
    partitions: int,
    default_currency: str,
    now_ms: int,
) -> list[Entry]:
    """One entry per record, in order; `partition` is of `partitions`.

    A dead letter has event time 0: the merge lets it through at once. A visitor in two partitions would be
    two visitors, so a record elsewhere than where its visitor belongs becomes one; unless it is where the
    customer belongs who is logged in: then it is forwarded.
    """
    entries = []
    for record in records:
        at_broker_ms = record.timestamp
        if at_broker_ms < 0:  # a producer may give none
            at_broker_ms = now_ms
        try:
            if type(record) is UnreadableRecord:
                raise InvalidEvent("record.unreadable", record.reason)
            event = decode(record.value, received_ms=at_broker_ms, default_currency=default_currency)
            id_ = id_in_key(record.key, event)
            check_place(id_, partition, partitions)
        except Exception as exc:  # the boundary: no record ends a worker, which would meet it again
            code, detail = refusal_of(exc)
            client = client_of_record(record.headers)
            letter = DeadLetter(
                code, detail, topic, partition, record.offset, record.key, cut(record.value), now_ms, client
            )
            entries.append(Entry(record.offset, 0, at_broker_ms, None, letter))
            continue
        if not is_of_elsewhere(id_, event, partition, partitions):
            entries.append(_new_entry((record.offset, event.event_time_ms, at_broker_ms, event, None)))
        else:
            record_id = f"{topic}-{partition}-{record.offset}"
            forward = Forward(topic, event.user_id.encode(), record_id, record.value or b"", id_, event)
            entries.append(Entry(record.offset, 0, at_broker_ms, None, forward))
    return entries


def refusal_of(exc: Exception) -> tuple[str, str]:
    """Code and detail of the dead letter of a record that could not be read for this reason."""
    if isinstance(exc, InvalidEvent):
        return exc.code, exc.detail
    return "event.unreadable", f"reading it failed with {type(exc).__name__}: internal error"
