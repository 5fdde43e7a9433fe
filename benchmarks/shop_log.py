"""The log every contender reads: a seeded shop of 20,000 visitors and 5,000 products, put into Kafka."""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Producer

from contracts.events import Event, EventType, encode
from contracts.settings import Settings
from contracts.topics import Topics

PRODUCTS = 5_000
VISITORS = 20_000
SESSION_EVENTS = 8
MIX = ((EventType.VIEW, 0.90), (EventType.CART, 0.07), (EventType.PURCHASE, 0.03))

Delivered = Callable[[Any, Any], None]


def make_events(
    count: int, *, first_ms: int, step_ms: float, seed: int, visitors: int | None = VISITORS
) -> Iterator[Event]:
    """`count` events in time order from `first_ms` on, `step_ms` apart on average.

    Products follow Zipf's law, types the mix 90/7/3. `visitors=None`: every event is a visitor never seen
    before. About 200 bytes of JSON each.
    """
    rng = random.Random(seed)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, PRODUCTS + 1)))
    types = [event_type for event_type, _ in MIX]
    type_weights = list(itertools.accumulate(share for _, share in MIX))
    sessions: dict[int, int] = {}
    for number in range(count):
        visitor = number if visitors is None else rng.randrange(visitors)
        rank = rng.choices(range(PRODUCTS), cum_weights=weights)[0]
        event_type = rng.choices(types, cum_weights=type_weights)[0]
        sessions[visitor] = seen = sessions.get(visitor, -1) + 1
        yield Event(
            event_id=f"{seed:x}-{number:08x}",
            event_type=event_type,
            event_time_ms=first_ms + int(number * step_ms),
            user_id=f"{seed:x}-visitor-{visitor:06d}",
            product_id=f"p{rank:05d}",
            session_id=f"s{visitor:06d}-{seen // SESSION_EVENTS}",
            price_minor=199 + rank * 37 % 90_000,
            currency="EUR",
            order_id=f"o{number:08x}" if event_type is EventType.PURCHASE else None,
        )


def open_producer(settings: Settings, *, linger_ms: int) -> Producer:
    """librdkafka's producer with Kafka's default partitioner."""
    return Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 200_000,
        }
    )


def send(producer: Producer, topics: Topics, event: Event, delivered: Delivered | None = None) -> None:
    """Hand one event to the producer; waits while its queue is full."""
    topic, key, value = topics.of(event.event_type), event.user_id.encode(), encode(event)
    while True:
        try:
            if delivered is None:
                producer.produce(topic, value, key)
            else:
                producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            producer.poll(0.05)
            continue
        producer.poll(0)
        return


def preload(settings: Settings, events: Iterator[Event], *, progress: Callable[[int], None]) -> None:
    """Put events into the topics as fast as it goes; raises `RuntimeError` if any is not stored."""
    producer = open_producer(settings, linger_ms=20)
    topics = Topics(settings.topic_prefix)
    failed: list[str] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(str(error))

    for number, event in enumerate(events, start=1):
        send(producer, topics, event, delivered)
        if number % 5_000 == 0:
            progress(5_000)
    producer.flush(60)
    if failed or len(producer):
        raise RuntimeError(f"{len(failed) + len(producer)} events not stored, first error: {failed[:1]}")
