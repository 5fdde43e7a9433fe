"""What really lies in the topics: records, those marked as broken, and the dead letters."""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson
import polars as pl
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from connections.kafka import librdkafka_arguments
from connections.kafka_check import require_kafka_now
from contracts.dead_letters import decode_dead_letter
from contracts.settings import Settings
from contracts.topics import Topics

BROKEN_HEADER = "broken"
"""Header of records that were sent to be refused."""
_TIMEOUT_S = 30.0
_PAGE_S = 0.1
_CHUNK = 50_000
_END_OF_PARTITION = -191  # librdkafka's code, which confluent-kafka keeps private


@dataclass(slots=True)
class LogCount:
    """Records in the event topics, and of those marked as broken the ids of the letters they must become."""

    records: int = 0
    broken: set[str] = field(default_factory=set)
    _frames: list[pl.DataFrame] = field(default_factory=list)
    _rows: list[tuple[str, int, int]] = field(default_factory=list)

    def copies(self) -> pl.DataFrame:
        """`event_id`, `partition` and `arrived_ms`, when the broker got it, of every copy of every event."""
        self._fold()
        self._frames = [pl.concat(self._frames)]
        return self._frames[0]

    def arrivals(self) -> pl.DataFrame:
        """`event_id` and `arrived_ms` of its first copy."""
        return self.copies().group_by("event_id").agg(pl.min("arrived_ms"))

    def add(self, message: Message) -> None:
        """Count a record."""
        self.records += 1
        if any(name == BROKEN_HEADER for name, _ in message.headers() or ()):
            self.broken.add(f"{message.topic()}-{message.partition()}-{message.offset()}")
            return
        event_id = orjson.loads(message.value() or b"{}")["event_id"]
        self._rows.append((event_id, message.partition() or 0, message.timestamp()[1]))
        if len(self._rows) >= _CHUNK:
            self._fold()

    def _fold(self) -> None:
        schema = {"event_id": pl.String, "partition": pl.Int64, "arrived_ms": pl.Int64}
        self._frames.append(pl.DataFrame(self._rows, schema=schema, orient="row"))
        self._rows = []


def log_ends(settings: Settings, topics: Sequence[str] = ()) -> dict[tuple[str, int], int]:
    """Next offset of every partition of the topics, by default those of events.

    Raises `KafkaException` if no broker answers.
    """
    consumer = _consumer(settings)
    try:
        places = _places(consumer, topics or Topics(settings.topic_prefix).events)
        return {(tp.topic, tp.partition): consumer.get_watermark_offsets(tp, _TIMEOUT_S)[1] for tp in places}
    finally:
        consumer.close()


def count_log(settings: Settings) -> LogCount:
    """Read the event topics from their start to their present end."""
    counted = LogCount()
    for message in _read(settings, Topics(settings.topic_prefix).events):
        counted.add(message)
    return counted


def distinct_letters(settings: Settings) -> set[str]:
    """Ids of the dead letters in the `rejected` topic; a letter published twice is one."""
    topic = Topics(settings.topic_prefix).rejected
    return {decode_dead_letter(message.value() or b"").letter_id for message in _read(settings, (topic,))}


def published_alerts(settings: Settings) -> list[tuple[str, bytes]]:
    """Header `id` and value of every record in the `alerts` topic, those of one partition in their order."""
    topic = Topics(settings.topic_prefix).alerts
    return [
        (dict(message.headers() or ())["id"].decode(), message.value() or b"")
        for message in _read(settings, (topic,))
    ]


def published_snapshots(settings: Settings, topic: str) -> dict[str, bytes]:
    """Newest value of each key of a topic of snapshots; empty where a record takes the others back."""
    return {(message.key() or b"").decode(): message.value() or b"" for message in _read(settings, (topic,))}


def _read(settings: Settings, topics: Sequence[str]) -> Iterator[Message]:
    consumer = _consumer(settings)
    try:
        left = {}
        for tp in _places(consumer, topics):
            low, high = consumer.get_watermark_offsets(tp, _TIMEOUT_S)
            if high > low:
                left[tp.topic, tp.partition] = (low, high)
        consumer.assign([TopicPartition(*place, low) for place, (low, _) in left.items()])
        deadline = time.monotonic() + _TIMEOUT_S
        while left:
            messages = consumer.consume(5_000, _PAGE_S)  # waits so long for a full page
            if messages:
                deadline = time.monotonic() + _TIMEOUT_S
            elif time.monotonic() > deadline:
                raise KafkaException(f"no records came for {_TIMEOUT_S} s, {len(left)} partitions unread")
            for message in messages:
                place = (message.topic(), message.partition())
                error = message.error()
                if error and error.code() == _END_OF_PARTITION:
                    left.pop(place, None)  # the last offsets may be markers of transactions
                elif error:
                    raise KafkaException(error)
                else:
                    yield message
                    if place in left and message.offset() + 1 >= left[place][1]:
                        del left[place]
    finally:
        consumer.close()


def _consumer(settings: Settings) -> Consumer:
    require_kafka_now(settings)
    return Consumer(
        {
            **librdkafka_arguments(settings),
            "group.id": f"audit-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )


def _places(consumer: Consumer, topics: Sequence[str]) -> list[TopicPartition]:
    known = consumer.list_topics(timeout=_TIMEOUT_S).topics
    return [TopicPartition(topic, p) for topic in topics for p in sorted(known[topic].partitions)]
