"""An archive of topics of which one has more partitions than the others, in a real Kafka."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient

from archive.announcing import Announcer
from archive.archiver import Archiver
from archive.intake import FlushLimits
from archive.metrics import ArchiveMetrics
from connections.asyncio_redis import open_redis_pool
from connections.kafka import kafka_python_arguments
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import DELETIONS, EVENT_TOPICS, Topics, archived_topics
from sources.archive.reading import find_manifest, scan_events
from sources.archive.stores import open_store

FEW, MANY = 2, 4
KINDS = (EventType.VIEW, EventType.PURCHASE)


@pytest.fixture
def settings(make_installation: Callable[..., Settings], tmp_path: Path) -> Settings:
    return make_installation(partitions=FEW, archive=str(tmp_path / "archive"))


def give_partitions(settings: Settings, *names: str) -> None:
    with KafkaAdminClient(**kafka_python_arguments(settings)) as admin:
        admin.create_partitions({settings.topic_prefix + name: MANY for name in names})


def send(settings: Settings) -> list[Event]:
    """Views into the topic with few partitions, purchases into all partitions of that which has many."""
    topics, now_ms = Topics(settings.topic_prefix), wall_clock_ms()
    producer = Producer({"bootstrap.servers": settings.bootstrap})
    events = [
        Event(f"{kind}-{n}", kind, now_ms + n, f"visitor-{n}", "p1") for kind in KINDS for n in range(40)
    ]
    for event in events:
        p = partition_of(event.user_id, FEW if event.event_type is EventType.VIEW else MANY)
        topic = topics.of(event.event_type)
        producer.produce(topic, key=event.user_id, value=encode(event), partition=p)
    assert producer.flush(30) == 0
    return events


def archived_ids(settings: Settings) -> list[str]:
    """Ids of the events in the archive, after it has taken in all that it can read."""
    store = open_store(settings.archive)

    async def archive() -> None:
        redis = open_redis_pool(settings)
        announcer = Announcer(redis, Keys(settings.namespace, settings.partitions), store.location)
        limits = FlushLimits(settings.archive_flush_s, settings.archive_flush_rows)
        try:
            archiver = Archiver(settings, store, ArchiveMetrics(), announcer, limits=limits)
            await archiver.run(asyncio.Event(), once=True)
        finally:
            await redis.aclose()

    asyncio.run(archive())
    manifest = find_manifest(store)
    assert manifest is not None
    return sorted(scan_events(store, manifest).collect()["event_id"])


def test_what_is_beyond_the_fewest_partitions_is_archived_once_all_topics_have_as_many(
    settings: Settings,
) -> None:
    give_partitions(settings, EVENT_TOPICS[-1])
    events = send(settings)
    beyond = [
        event
        for event in events
        if event.event_type is EventType.PURCHASE and partition_of(event.user_id, MANY) >= FEW
    ]
    assert len(beyond) > 5
    assert archived_ids(settings) == sorted({event.event_id for event in events if event not in beyond})
    give_partitions(settings, *({*archived_topics(), DELETIONS} - {EVENT_TOPICS[-1]}))
    assert archived_ids(settings) == sorted(event.event_id for event in events)
