"""Exposures on their way to a real Kafka: all of them, in the partitions where workers look."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from kafka import KafkaConsumer, TopicPartition

from api.http.metrics import ApiMetrics
from api.resources.recommendations.exposures import ExposurePublisher
from contracts.clock import wall_clock_ms
from contracts.exposures import Exposure, check_exposure_key, decode_exposure
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics

NOW_MS = wall_clock_ms()
PRODUCTS = tuple(f"product-with-a-long-name-{n}" for n in range(90))


@pytest.fixture
def metrics() -> ApiMetrics:
    return ApiMetrics()


@pytest.fixture
async def publisher(installation: Settings, metrics: ApiMetrics) -> AsyncIterator[ExposurePublisher]:
    publisher = ExposurePublisher(installation, metrics)
    publisher.start()
    yield publisher
    await publisher.close()


def exposure(number: int) -> Exposure:
    return Exposure(f"r{number:03}", f"u{number % 7}", NOW_MS, "for_you", "main", "v1", PRODUCTS)


def read_exposures(settings: Settings) -> Iterator[Exposure]:
    """Those in the topic, each with the key and in the partition of its visitor."""
    topic = Topics(settings.topic_prefix).exposures
    parts = [TopicPartition(topic, p) for p in range(settings.partitions)]
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    try:
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        while any(consumer.position(part) < ends[part] for part in parts):
            for part, records in consumer.poll(timeout_ms=200).items():
                for record in records:
                    found = decode_exposure(record.value, received_ms=record.timestamp)
                    check_exposure_key(record.key, found)
                    assert part.partition == partition_of(found.user_id, settings.partitions)
                    yield found
    finally:
        consumer.close()


@pytest.mark.parametrize("installation", [3], indirect=True)
async def test_exposures_arrive_in_order_in_the_partition_of_their_visitor(
    installation: Settings, metrics: ApiMetrics, publisher: ExposurePublisher
) -> None:
    for number in range(200):  # of a partition more than one batch can hold
        publisher.put(exposure(number))
    labels = {"result": "published"}
    async with asyncio.timeout(60):
        while metrics.registry.get_sample_value("storepulse_api_exposures_total", labels) != 200:
            await asyncio.sleep(0.02)
    publisher.put(exposure(200))
    await publisher.close()  # sends what still waits
    found = list(read_exposures(installation))
    for user in range(7):
        own = [each.rec_id for each in found if each.user_id == f"u{user}"]
        assert own == [f"r{number:03}" for number in range(user, 201, 7)]
    assert sorted(found) == [exposure(number) for number in range(201)]
