"""The floor of delays: aiokafka and orjson, positions into Redis, and no work between reading and writing.

Where alerts are measured (`Settings.scoring`), every product put into a cart comes back as an alert at once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis

from contracts.alerts import CHURN_RISK, Alert, AlertState, Severity, VisitorDetail, encode_alert
from contracts.events import EventType
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.subjects import visitor
from contracts.topics import Topics

POLL_MS = 200


async def consume(settings: Settings) -> None:
    """Read, write positions and answer until the process is killed."""
    topics = Topics(settings.topic_prefix)
    keys = Keys(settings.namespace, settings.partitions)
    consumer = AIOKafkaConsumer(
        *topics.events,
        bootstrap_servers=settings.bootstrap,
        group_id=settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, enable_idempotence=True)
    await consumer.start()
    await producer.start()
    async with Redis.from_url(settings.redis_url) as client:
        await client.hincrby(keys.meta(0), "applied", 0)
        while True:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=5_000)
            events = [orjson.loads(record.value) for records in fetched.values() for record in records]
            if events:
                await _store(client, keys, fetched)
            if settings.scoring:
                for alert in echo(events):
                    await producer.send(topics.alerts, encode_alert(alert), alert.subject.id.encode())


async def _store(client: Redis, keys: Keys, fetched: Mapping[Any, Sequence[Any]]) -> None:
    """Positions and the number of events, as readers of the worker's own find them."""
    pipe = client.pipeline(transaction=False)
    applied: Counter[int] = Counter()
    for place, records in fetched.items():
        pipe.hset(keys.meta(place.partition), f"off:{place.topic}", records[-1].offset + 1)
        applied[place.partition] += len(records)
    for partition, number in applied.items():
        pipe.hincrby(keys.meta(partition), "applied", number)
    await pipe.execute()


def echo(events: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    """A `churn_risk` for each event that puts something into a cart, at that event's time."""
    for event in events:
        if event["event_type"] != EventType.CART:
            continue
        at_ms = event["event_time"]
        yield Alert(
            event["event_id"], CHURN_RISK, AlertState.FIRING, Severity.LOW, visitor(event["user_id"]), 1,
            at_ms, at_ms, live=True, detail=VisitorDetail(None, 1, at_ms, 1, None, None, None),
        )  # fmt: skip


if __name__ == "__main__":
    uvloop.run(consume(Settings()))
