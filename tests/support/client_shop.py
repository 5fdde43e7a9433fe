"""What an installation made of the events of another client, and how such a client is run."""

import shutil
import subprocess
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from connections.kafka import kafka_python_arguments
from contracts.buckets import Metric
from contracts.key_families import PRODUCT_BUCKETS
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from ops.stack.child import Child
from producers.rejected import read_letters
from services import wait_until


class Shop:
    """An installation with a running worker."""

    def __init__(self, settings: Settings, worker: Child) -> None:
        self.settings = settings
        self.worker = worker
        self._redis = Redis.from_url(settings.redis_url, decode_responses=True)
        self._keys = Keys(settings.namespace, settings.partitions)

    def views(self, product_id: str) -> int:
        """Views of a product that were counted, over all partitions and days."""
        found = 0
        for p in range(self.settings.partitions):
            for key in self._redis.scan_iter(f"{self._keys.prefix(p)}{PRODUCT_BUCKETS}:day:*"):
                found += int(self._redis.hget(key, f"{Metric.VIEWS}:{product_id}") or 0)
        return found

    def await_views(self, product_id: str, count: int) -> None:
        """Wait until so many views of a product are counted."""
        wait_until(lambda: self.views(product_id) >= count, 30.0, f"{count} views of {product_id}")
        assert self.views(product_id) == count

    @property
    def topic(self) -> str:
        """The topic of views."""
        return Topics(self.settings.topic_prefix).events[0]

    def await_ends(self, topic: str = "") -> None:
        """Wait until everything in a topic, by default that of views, is behind us, its last markers too."""
        topic = topic or self.topic
        consumer = KafkaConsumer(**kafka_python_arguments(self.settings), metrics_enabled=False)
        places = [TopicPartition(topic, p) for p in range(self.settings.partitions)]
        ends = {place.partition: end for place, end in consumer.end_offsets(places).items() if end}
        consumer.close()
        wait_until(lambda: self.stored(topic) == ends, 15.0, "the offsets to reach the ends of the logs")

    def stored(self, topic: str) -> dict[int, int]:
        """Next offsets of a topic in Redis, by partition."""
        found = {}
        for p in range(self.settings.partitions):
            offset = self._redis.hget(self._keys.meta(p), f"off:{topic}")
            if offset is not None and int(offset) > 0:
                found[p] = int(offset)
        return found

    def rejected(self, name: str) -> dict[str, int]:
        """Dead letters of records whose key begins with this name, or that have none, by their codes."""
        found: dict[str, int] = {}
        for stored in read_letters(self.settings):
            if stored.letter.key is None or stored.letter.key.startswith(f"{name}-".encode()):
                found[stored.letter.code] = found.get(stored.letter.code, 0) + 1
        return found


def lack_tool(*names: str) -> None:
    """Skip the test where a command is not installed."""
    for name in names:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")


def run(argv: list[str], folder: Path | None = None, timeout_s: float = 240.0) -> str:
    """Run a sender; what it printed, which is shown if it fails."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{argv}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
