"""Two workers on real Kafka and Redis: snapshots of what both have counted, through a kill of one of them."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from redis import Redis

from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.extensions import load_contracts
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.snapshots import decode_record, decode_snapshot
from contracts.topics import Topics
from ops.stack.child import Child
from ops.stack.record import settings_environment
from services import wait_until

SUPPORT = Path(__file__).parents[2] / "support"
EXTENSION = "counting_jobs"
PRODUCTS = [f"p{i}" for i in range(12)]
StartWorker = Callable[[str], Child]


@pytest.fixture
def settings(make_installation: Callable[..., Settings]) -> Settings:
    load_contracts(Settings(extensions=EXTENSION))
    return make_installation(partitions=4, extensions=EXTENSION, scoring=False, session_timeout_s=6.0)


@pytest.fixture
def start_worker(settings: Settings, tmp_path: Path) -> Iterator[StartWorker]:
    with ExitStack() as stack:

        def start(name: str) -> Child:
            env = {"PYTHONPATH": os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])}
            argv = [sys.executable, "-P", "-m", "ops.cli", "worker"]
            child = Child(name, argv, tmp_path / f"{name}.log", env=settings_environment(settings) | env)
            child.start()
            stack.callback(lambda: child.kill() if child.alive else None)
            return child

        yield start


class Views:
    """Views sent so far, and the snapshots of them."""

    def __init__(self, settings: Settings) -> None:
        self.sent: Counter[str] = Counter()
        self._settings = settings
        self._keys = Keys(settings.namespace, settings.partitions)
        self._client = Redis.from_url(settings.redis_url)

    def send(self, number: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self._settings.bootstrap)
        now_ms, topic = wall_clock_ms(), Topics(self._settings.topic_prefix).of(EventType.VIEW)
        for i in range(number):
            product_id, user_id = PRODUCTS[i % len(PRODUCTS)], f"u{i % 30}"
            event = Event(f"{now_ms}-{i}", EventType.VIEW, now_ms, user_id, product_id)
            p = partition_of(user_id, self._settings.partitions)
            producer.send(topic, encode(event), key=user_id.encode(), partition=p)
            self.sent[product_id] += 1
        producer.flush()
        producer.close()

    def shown(self) -> Counter[str]:
        """What the snapshots say."""
        found: Counter[str] = Counter()
        for product_id in PRODUCTS:
            blob: Any = self._client.get(self._keys.snapshot("views", product_id))
            if blob is not None:
                found[product_id] = decode_snapshot(blob).value["views"]
        return found

    def published(self) -> Counter[str]:
        """The newest of each product in the topic."""
        consumer = KafkaConsumer(
            Topics(self._settings.topic_prefix).output("views"), bootstrap_servers=self._settings.bootstrap,
            auto_offset_reset="earliest", consumer_timeout_ms=2_000,
        )  # fmt: skip
        newest: Counter[str] = Counter()
        for record in consumer:
            _, subject, snapshot = decode_record(record.value)
            assert record.key == subject.id.encode()
            newest[subject.id] = snapshot.value["views"]
        consumer.close()
        return newest

    def close(self) -> None:
        self._client.close()


def test_snapshots_are_of_all_partitions_and_outlive_a_worker(
    settings: Settings, start_worker: StartWorker
) -> None:
    views = Views(settings)
    first, second = start_worker("first"), start_worker("second")
    views.send(600)
    wait_until(lambda: views.shown() == views.sent, 120, f"the snapshots; {first.log_tail()}")
    second.kill()
    views.send(600)
    wait_until(lambda: views.shown() == views.sent, 120, f"the snapshots after a kill; {first.log_tail()}")
    wait_until(lambda: views.published() == views.sent, 60, "the topic")
    first.stop()
    assert first.exit_code == 0, first.log_tail()
    views.close()
