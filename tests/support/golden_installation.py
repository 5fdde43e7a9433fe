"""A small installation as an earlier version left it: its Redis, its topics, and what its API answered."""

import base64
from typing import Any, NamedTuple

from confluent_kafka import Producer
from redis import Redis

from contracts.events import Event, decode
from contracts.fields import InvalidEvent
from contracts.settings import Settings
from contracts.topics import EVENT_TOPICS
from golden_files import Values, load_golden

PREFIX = b"goldenprefix."
"""Before the name of each of its topics, which values in Redis have too."""

RECEIVER = "http://127.0.0.1:44041"
"""Where it sent webhooks to."""


class Answer(NamedTuple):
    """What its API answered to GET `path` at `NOW_MS`."""

    path: str
    status: int
    content_type: str
    body: Any


class Record(NamedTuple):
    """A record in one of its topics, whose name is without prefix; `item_id` is the header `id`."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    key: bytes | None
    value: bytes | None
    item_id: str | None


def about() -> Values:
    """`now_ms`, when the worker was killed, its `settings`, an API key (`token`), and visitors by name."""
    found: Values = load_golden("answers.json.gz")["about"]
    return found


def golden_answers() -> list[Answer]:
    """The answers of its API."""
    rows = load_golden("answers.json.gz")["answers"]
    return [Answer(row["path"], row["status"], row["type"], row["body"]) for row in rows]


def golden_log() -> list[Record]:
    """The records of all topics, those of one partition in their order."""
    return [
        Record(
            row["topic"], row["partition"], row["offset"], row["at_ms"], _to_bytes(row["key"]),
            _to_bytes(row["value"]), row.get("id"),
        )
        for row in load_golden("kafka.json.gz")
    ]  # fmt: skip


def golden_events() -> list[tuple[Record, Event]]:
    """The events among the records, repeats included."""
    return [(record, event) for record in _event_records() if (event := _event_of(record)) is not None]


def broken_records() -> list[Record]:
    """The records in the event topics that must be refused."""
    return [record for record in _event_records() if _event_of(record) is None]


def golden_keys() -> list[Values]:
    """Every key of its Redis without the namespace, with type and value."""
    rows: list[Values] = load_golden("redis.json.gz")
    return rows


def restore_redis(
    redis: Redis, settings: Settings, *, host: str = RECEIVER, without: str = "nothing"
) -> None:
    """Write all keys into the installation's namespace but those that end in `without`; none of them expires.

    `host` takes the place of the receiver of its webhooks.
    """

    def adapt(value: Any) -> bytes:
        adapted = (_to_bytes(value) or b"").replace(PREFIX, settings.topic_prefix.encode())
        return adapted.replace(RECEIVER.encode(), host.encode())

    pipe = redis.pipeline(transaction=False)
    for row in golden_keys():
        if row["key"].endswith(without):
            continue
        key, value = f"{settings.namespace}:{row['key']}", row["value"]
        match row["type"]:
            case "string":
                pipe.set(key, adapt(value))
            case "hash":
                pipe.hset(key, mapping={adapt(name): adapt(text) for name, text in value.items()})
            case "zset":
                pipe.zadd(key, {member: float(score) for member, score in value.items()})
            case "set":
                pipe.sadd(key, *value)
            case "stream":
                for entry_id, fields in value:
                    pipe.xadd(key, {name: adapt(text) for name, text in fields.items()}, id=entry_id)
    pipe.execute()


def restore_topics(settings: Settings) -> None:
    """Send all records to the installation's topics, which must be empty: every offset is as it was."""
    producer = Producer({"bootstrap.servers": settings.bootstrap, "enable.idempotence": True, "log_level": 0})
    for record in golden_log():
        headers = [("id", record.item_id.encode())] if record.item_id else None
        producer.produce(
            settings.topic_prefix + record.topic, record.value, record.key, record.partition, headers=headers
        )
    assert producer.flush(30) == 0


def _to_bytes(value: Any) -> bytes | None:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return None if value is None else str(value).encode()


def _event_records() -> list[Record]:
    return [record for record in golden_log() if record.topic in EVENT_TOPICS]


def _event_of(record: Record) -> Event | None:
    try:
        event = decode(record.value or b"", received_ms=record.at_ms, default_currency="EUR")
    except InvalidEvent:
        return None
    return event if record.key == event.user_id.encode() else None
