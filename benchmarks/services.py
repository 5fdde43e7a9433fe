"""The services under the benchmarks: Kafka tuned for throughput, Redis, and installations on them."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient
from redis import Redis

from connections.kafka import librdkafka_arguments
from contracts.settings import Settings
from contracts.topics import Topics
from ops.stack.broker import KafkaBroker
from ops.stack.redis_server import RedisServer
from ops.stack.topics import delete_topics, ensure_topics

ADMIN_S = 10.0
FAST_JVM = ("-Xms1g", "-Xmx1g")
"""Both compilers and the default collector, unlike the small broker of demo and tests."""


@dataclass(frozen=True, slots=True)
class Services:
    """Where Kafka and Redis are, their processes, and a folder for what children write."""

    bootstrap: str
    redis_url: str
    kafka_pid: int
    redis_pid: int
    folder: Path
    client: Redis


@contextmanager
def running_services() -> Iterator[Services]:
    """Kafka and Redis (append-only file, everysec) on free ports until the block ends."""
    with tempfile.TemporaryDirectory(prefix="storepulse-bench-") as name:
        folder = Path(name)
        broker = KafkaBroker(folder / "kafka", jvm_options=FAST_JVM)
        server = RedisServer(folder / "redis")
        try:
            server.start()
            broker.start()
            with Redis.from_url(server.url) as client:
                yield Services(
                    broker.bootstrap, server.url, broker.child.pid, server.child.pid, folder, client
                )
        finally:
            for child in (broker.child, server.child):
                if child.alive:
                    child.kill()


def make_settings(services: Services, **overrides: object) -> Settings:
    """Settings of an installation of its own, without scoring unless it is asked for.

    Fields not given come from the environment and the defaults.
    """
    name = f"b{uuid.uuid4().hex[:8]}"
    fields: dict[str, object] = {
        "scoring": False,
        "bootstrap": services.bootstrap,
        "redis_url": services.redis_url,
        "namespace": name,
        "group": name,
        "topic_prefix": f"{name}.",
    }
    return Settings.model_validate(fields | overrides)


def with_fresh_state(settings: Settings) -> Settings:
    """The same topics read by a new group into a new namespace."""
    name = f"b{uuid.uuid4().hex[:8]}"
    return settings.model_copy(update={"namespace": name, "group": name})


def empty_followed_topics(settings: Settings) -> None:
    """Delete what workers told one another in the topics that they write and read: it is of earlier laps."""
    ends = [
        TopicPartition(topic, number, OFFSET_END)
        for topic in Topics(settings.topic_prefix).followed
        for number in range(settings.partitions)
    ]
    admin = AdminClient(librdkafka_arguments(settings))
    for deleted in admin.delete_records(ends, request_timeout=ADMIN_S).values():
        deleted.result(2 * ADMIN_S)


def create_topics(settings: Settings) -> None:
    """Create the topics; raises `ops.stack.topics.TopicsError`."""
    ensure_topics(settings)


def drop_topics(settings: Settings) -> None:
    """Delete the topics, so that the disk does not fill."""
    delete_topics(settings)


def drop_state(services: Services, settings: Settings) -> None:
    """Delete every key of the namespace."""
    batch: list[bytes] = []
    for key in services.client.scan_iter(match=f"{settings.namespace}:*", count=5_000):
        batch.append(key)
        if len(batch) == 5_000:
            services.client.unlink(*batch)
            batch.clear()
    if batch:
        services.client.unlink(*batch)
