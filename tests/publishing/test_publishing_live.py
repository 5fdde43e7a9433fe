"""Recommendations from events to the topic: real Kafka, Redis, a worker and publishers, which are killed."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaConsumer, KafkaProducer
from redis import Redis

from api.registry import find_scrubbers
from api.resources.privacy.job import JobStatus
from api.resources.privacy.linked import open_deletions
from api.resources.privacy.remover import Remover
from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.recommendations import RECOMMENDATIONS
from contracts.settings import Settings
from contracts.snapshots import Snapshot, decode_record, decode_snapshot
from contracts.topics import Topics
from ops.audit import recommendation_differences
from ops.stack.child import Child
from ops.stack.record import settings_environment
from readers.id_search import Needle, search
from readers.reader import Reader
from running_worker import running_worker
from services import wait_until

INTERVAL_S = 1.0
VISITORS = [f"visitor-number-{n}" for n in range(40)]
PRODUCTS = [f"product-{n}" for n in range(12)]


class Published(NamedTuple):
    """Snapshots of each key of the topic in their order; None takes back those before it."""

    by_visitor: Mapping[str, Sequence[Snapshot | None]]

    def newest(self) -> dict[str, list[str]]:
        """The products of each visitor whose list was not taken back."""
        return {
            visitor: [item["product_id"] for item in found[-1].value["items"]]
            for visitor, found in self.by_visitor.items()
            if found[-1] is not None
        }


class Shop:
    """An installation whose visitors look at products."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self.topics = Topics(settings.topic_prefix)
        self.redis = Redis.from_url(settings.redis_url)
        self._sent = 0

    def visit(self, *visitors: str) -> None:
        """Each looks at the next two products."""
        producer = KafkaProducer(bootstrap_servers=self.settings.bootstrap)
        for visitor in visitors:
            for _ in range(2):
                self._sent += 1
                product = PRODUCTS[self._sent * 7 % len(PRODUCTS)]
                now_ms = wall_clock_ms()
                event = Event(f"e{self._sent}", EventType.VIEW, now_ms, visitor, product)
                producer.send(
                    self.topics.of(EventType.VIEW), encode(event), key=visitor.encode(),
                    partition=partition_of(visitor, self.settings.partitions),
                )  # fmt: skip
        producer.flush()
        producer.close()

    def published(self) -> Published:
        """All that is in the topic."""
        consumer = KafkaConsumer(
            self.topics.recommendations, bootstrap_servers=self.settings.bootstrap,
            auto_offset_reset="earliest", consumer_timeout_ms=2_000,
        )  # fmt: skip
        found = defaultdict(list)
        for record in consumer:
            snapshot = None
            if record.value is not None:
                name, subject, snapshot = decode_record(record.value)
                assert (name, subject.id) == (RECOMMENDATIONS, record.key.decode())
                assert snapshot.value["visitor_id"] == subject.id
            found[record.key.decode()].append(snapshot)
        consumer.close()
        return Published(found)

    def stored(self) -> dict[str, list[str]]:
        """The products of each visitor's snapshot in Redis."""
        found = {}
        for visitor in VISITORS:
            blob: Any = self.redis.get(self.keys.snapshot(RECOMMENDATIONS, visitor))
            if blob is not None:
                found[visitor] = [item[0] for item in decode_snapshot(blob).value["items"]]
        return found

    def is_idle(self) -> bool:
        """Whether nobody waits for a list, and no record for the relay."""
        partitions = range(self.settings.partitions)
        queues = [self.redis.zcard(self.keys.job_queue(p, RECOMMENDATIONS)) for p in partitions]
        return not any(queues) and not any(self.redis.xlen(self.keys.outbox(p)) for p in partitions)

    async def delete(self, visitor: str) -> bool:
        """Delete a visitor as the API does; whether the id is still anywhere in Redis afterwards."""
        redis = open_redis_pool(self.settings)
        try:
            reader = Reader(redis, self.settings)
            remover = Remover(reader, find_scrubbers(self.settings))
            job = await open_deletions(reader, remover.jobs, visitor)
            while job.status is not JobStatus.DONE:
                await remover.advance()
                job = await remover.jobs.get(job.deletion_id) or job
            (places,) = await search(redis, reader.keys, [Needle(visitor)])
            return bool(places)
        finally:
            await redis.aclose()


@pytest.fixture
def shop(make_installation: Callable[..., Settings], tmp_path: Path) -> Iterator[Shop]:
    settings = make_installation(
        partitions=3, scoring=False, recommendation_interval_s=INTERVAL_S, session_timeout_s=6.0
    )
    shop = Shop(settings)
    with running_worker(settings, tmp_path):
        yield shop
    shop.redis.close()


@pytest.fixture
def start_publisher(shop: Shop, tmp_path: Path) -> Iterator[Callable[[str], Child]]:
    with ExitStack() as stack:

        def start(name: str) -> Child:
            argv = [sys.executable, "-P", "-m", "ops.cli", "publish"]
            log = tmp_path / f"{name}.log"
            child = Child(name, argv, log, env=settings_environment(shop.settings))
            child.start()
            stack.callback(lambda: child.kill() if child.alive else None)
            return child

        yield start


async def test_topic_and_redis_have_the_newest_lists_whatever_is_killed_and_nothing_of_who_is_deleted(
    shop: Shop, start_publisher: Callable[[str], Child]
) -> None:
    first, second = start_publisher("first"), start_publisher("second")
    shop.visit(*VISITORS)
    wait_until(lambda: len(shop.stored()) == len(VISITORS), 120, f"lists of all; {first.log_tail()}")
    for n in range(6):
        shop.visit(*VISITORS)
        if n == 2:
            first.kill()
        if n == 4:
            first.start()
            second.kill()
    wait_until(shop.is_idle, 120, f"the queues to be empty; {first.log_tail()}")
    published = shop.published()
    assert published.newest() == shop.stored()
    assert set(published.by_visitor) == set(VISITORS)
    for visitor, snapshots in published.by_visitor.items():
        made = [snapshot.made_ms for snapshot in snapshots if snapshot is not None]
        assert made == sorted(made)
        gaps = [after - before for before, after in pairwise(made)]
        assert all(gap >= INTERVAL_S * 1_000 for gap in gaps), (visitor, gaps)

    gone = VISITORS[0]
    shop.visit(gone)  # who is in a queue, or being worked on
    assert not await shop.delete(gone), "it is nowhere in Redis"
    wait_until(shop.is_idle, 60, "the queues to be empty")
    published = shop.published()
    assert recommendation_differences(shop.settings, shop.redis, shop.keys) == []
    assert published.by_visitor[gone][-1] is None
    assert published.newest() == shop.stored()
    assert len(published.newest()) == len(VISITORS) - 1
    assert first.stop() == 0, first.log_tail()


def test_a_publisher_that_nobody_told_how_often_says_so_and_ends(
    shop: Shop, start_publisher: Callable[[str], Child]
) -> None:
    shop.settings = shop.settings.model_copy(update={"recommendation_interval_s": 0.0})
    child = start_publisher("idle")
    wait_until(lambda: not child.alive, 60, "the publisher to end")
    assert child.exit_code == 2
    assert "STOREPULSE_RECOMMENDATION_INTERVAL_S" in child.log_tail()
