"""Sending events: Kafka, idempotent and acknowledged by all replicas, and its twin in memory."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError

from connections.kafka import kafka_python_arguments
from connections.kafka_check import require_kafka_now
from connections.troubles import ConnectionRefused
from contracts.dead_letters import DeadLetter
from contracts.events import Event
from contracts.settings import Settings
from contracts.topics import Topics
from producers.records import Record as Record  # part of a sender's face
from producers.records import event_record, letter_record

MAX_IN_FLIGHT = 20_000
"""Records sent and not acknowledged; sending one more waits."""
MAX_IN_FLIGHT_BYTES = 16 * 1024 * 1024
"""The same of their values: dead letters are long."""
LINGER_MS = 5
DELIVERY_TIMEOUT_S = 120.0
METADATA_TIMEOUT_MS = 15_000
RESENDS = 3


class SendFailed(RuntimeError):
    """The broker did not accept a record, or takes none; says which and why."""


class Sender(Protocol):
    """Takes events in order of event time and makes sure that every one of them arrives.

    `acked` counts a prefix of what was sent: the first `acked` records are safe. `starts` and `ends` hold,
    per (topic, partition) of events, the offset of the first acknowledged record and the one after the last:
    the stream gets to these, and never to dead letters.
    """

    sent: int
    acked: int
    starts: dict[tuple[str, int], int]
    ends: dict[tuple[str, int], int]

    def send(self, event: Event) -> None:
        """Send an event, keyed by its visitor; raises `InvalidEvent` if its JSON is too long."""

    def reject(self, letter: DeadLetter) -> None:
        """Send a dead letter."""

    def send_raw(self, record: Record) -> None:
        """Send bytes as they are."""

    def flush(self) -> None:
        """Return when all that was sent is acknowledged; raises `SendFailed` if something was not."""

    def close(self) -> None:
        """Flush, then end."""


class MemorySender:
    """Keeps the records; everything is acknowledged at once."""

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self.acked = 0
        self.starts: dict[tuple[str, int], int] = {}
        self.ends: dict[tuple[str, int], int] = {}
        self.records: list[Record] = []
        self._topics = Topics(settings.topic_prefix)
        self._partitions = settings.partitions

    def send(self, event: Event) -> None:
        """Keep the event's record."""
        self.send_raw(event_record(event, self._topics, self._partitions))

    def reject(self, letter: DeadLetter) -> None:
        """Keep the letter's record."""
        self.send_raw(letter_record(letter, self._topics))

    def send_raw(self, record: Record) -> None:
        """Keep the record."""
        self.records.append(record)
        where = (record.topic, record.partition or 0)
        if record.topic in self._topics.events:
            self.starts.setdefault(where, 0)
            self.ends[where] = self.ends.get(where, 0) + 1
        self.sent += 1
        self.acked += 1

    def flush(self) -> None:
        """Nothing is ever in flight."""

    def close(self) -> None:
        """Nothing to release."""


class _InFlight(NamedTuple):
    record: Record
    future: Any  # kafka.producer.future.FutureRecordMetadata


class KafkaSender:
    """Idempotent producer with a bound on what is in flight, in number and in event time.

    The topics of one partition have no order between them, and the stream merges them by event time. So that
    a backlog sent at full speed still merges exactly, an event is sent only when everything of the other
    topics of its partition that is older by more than half the allowed disorder has been acknowledged.
    """

    def __init__(
        self, settings: Settings, *, max_in_flight: int = MAX_IN_FLIGHT, linger_ms: int = LINGER_MS
    ) -> None:
        self.sent = 0
        self.acked = 0
        self.waits_for_order = 0
        self.starts: dict[tuple[str, int], int] = {}
        self.ends: dict[tuple[str, int], int] = {}
        self._topics = Topics(settings.topic_prefix)
        self._partitions = settings.partitions
        self._window_ms = settings.disorder_ms // 2
        self._max_in_flight = max_in_flight
        self._in_flight: deque[_InFlight] = deque()
        self._in_flight_bytes = 0
        self._by_partition = _unacknowledged(self._topics, settings.partitions)
        self._producer = _connect(settings, linger_ms)
        try:
            self._check_partitions()
        except BaseException:
            self._producer.close(timeout=0)
            raise

    def send(self, event: Event) -> None:
        """Send an event, waiting where too much is in flight; raises `SendFailed`."""
        record = event_record(event, self._topics, self._partitions)
        partition = record.partition or 0
        own: deque[tuple[int, Any]] | None = None
        for topic, pending in self._by_partition[partition].items():
            while pending and pending[0][1].is_done and not pending[0][1].failed():
                pending.popleft()
            if topic == record.topic:
                own = pending
            elif pending and pending[0][0] < event.event_time_ms - self._window_ms:
                self.waits_for_order += 1
                self.flush()
        future = self._submit(record)
        if own is not None:
            own.append((event.event_time_ms, future))

    def reject(self, letter: DeadLetter) -> None:
        """Send a dead letter; raises `SendFailed`."""
        self._submit(letter_record(letter, self._topics))

    def send_raw(self, record: Record) -> None:
        """Send bytes as they are; raises `SendFailed`."""
        self._submit(record)

    def flush(self) -> None:
        """Wait until everything is acknowledged; raises `SendFailed`."""
        _raising(partial(self._producer.flush, timeout=DELIVERY_TIMEOUT_S), "flushing")
        self._settle(0)
        for by_topic in self._by_partition:
            for pending in by_topic.values():
                pending.clear()

    def close(self) -> None:
        """Flush and disconnect; raises `SendFailed` if anything sent was not acknowledged."""
        try:
            self.flush()
        finally:
            self._producer.close(timeout=5)

    def _submit(self, record: Record) -> Any:
        size = len(record.value or b"")
        self._settle(self._max_in_flight - 1, MAX_IN_FLIGHT_BYTES - size)
        future = self._produce(record)
        self._in_flight.append(_InFlight(record, future))
        self._in_flight_bytes += size
        self.sent += 1
        return future

    def _produce(self, record: Record) -> Any:
        try:
            return self._producer.send(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=record.partition,
            )
        except KafkaError as exc:
            raise SendFailed(f"sending to {record.topic}: {exc!r}") from exc

    def _settle(self, most: int, most_bytes: int = 0) -> None:
        """Take what is acknowledged off the front; wait while there are more than `most` or `most_bytes`."""
        in_flight = self._in_flight
        while in_flight and (
            in_flight[0].future.is_done or len(in_flight) > most or self._in_flight_bytes > most_bytes
        ):
            record, future = in_flight[0]
            arrived = future.value if future.is_done and not future.failed() else self._wait(record, future)
            if arrived.topic in self._topics.events:
                where = (arrived.topic, arrived.partition)
                self.starts.setdefault(where, arrived.offset)
                self.ends[where] = arrived.offset + 1
            in_flight.popleft()
            self._in_flight_bytes -= len(record.value or b"")
            self.acked += 1

    def _wait(self, record: Record, future: Any) -> Any:
        """The metadata of a record once it arrived, sent again if need be: event ids make that harmless."""
        resends = 0
        while True:
            try:
                return future.get(timeout=DELIVERY_TIMEOUT_S)
            except KafkaError as exc:
                if resends == RESENDS or not exc.retriable:
                    where = f"{record.topic}[{record.partition}]"
                    raise SendFailed(f"{where} did not accept a record: {exc!r}") from exc
            resends += 1
            future = self._produce(record)

    def _check_partitions(self) -> None:
        for topic in self._topics.events:
            known = _raising(partial(self._producer.partitions_for, topic), f"looking for topic {topic}")
            if len(known) < self._partitions:  # a topic with more is about to grow, or grew alone
                raise SendFailed(
                    f"topic {topic} has {len(known)} partitions, the settings say {self._partitions}: "
                    "set STOREPULSE_PARTITIONS to what the topic has"
                )


def _unacknowledged(topics: Topics, partitions: int) -> list[dict[str, deque[tuple[int, Any]]]]:
    return [{topic: deque() for topic in topics.events} for _ in range(partitions)]


def _connect(settings: Settings, linger_ms: int) -> Any:
    connect = partial(
        KafkaProducer,
        **kafka_python_arguments(settings),
        client_id="storepulse-producer",
        enable_idempotence=True,
        acks="all",
        linger_ms=linger_ms,
        batch_size=64 * 1024,
        delivery_timeout_ms=int(DELIVERY_TIMEOUT_S * 1_000),
        max_block_ms=METADATA_TIMEOUT_MS,
        bootstrap_timeout_ms=METADATA_TIMEOUT_MS,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )
    _let_in(settings)
    try:
        return _raising(connect, f"no Kafka answers at {settings.bootstrap}")
    except SendFailed:
        _let_in(settings, after_failure=True)
        raise


def _let_in(settings: Settings, *, after_failure: bool = False) -> None:
    try:
        require_kafka_now(settings, after_failure=after_failure)
    except ConnectionRefused as exc:
        raise SendFailed(str(exc)) from exc


def _raising(call: Callable[[], Any], doing: str) -> Any:
    try:
        return call()
    except KafkaError as exc:
        raise SendFailed(f"{doing}: {exc!r}") from exc
