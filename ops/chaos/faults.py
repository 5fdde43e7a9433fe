"""The faults: each harms a system under load and puts it right again."""

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from connections.kafka import librdkafka_arguments
from contracts.clock import wall_clock_ms
from contracts.topics import Topics
from ops.chaos.system import SystemUnderTest
from ops.stack.child import Child


class FaultInjection(NamedTuple):
    """When it began (monotonic s), and the wall-clock ms after which every partition must commit again.

    `recovered_s` is when they had, where the fault itself had to wait for it.
    """

    began_s: float
    recovered_after_ms: int
    recovered_s: float | None = None


Fault = Callable[[SystemUnderTest, random.Random], FaultInjection]


def kill_worker(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """kill -9 of one worker; the supervisor starts it again."""
    victim = draw.choice(system.supervisor.workers)
    injection = _now()
    victim.kill()
    return injection


def kill_redis(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """kill -9 of Redis, and after up to two seconds its restart on the same files."""
    injection = _now()
    system.redis.kill()
    time.sleep(draw.uniform(0.0, 2.0))
    system.redis.restart()
    return injection


def rewind_redis(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """kill -9 of Redis, and its restart on a copy of its files that is two to five seconds older."""
    copy = system.folder / "redis-copy"
    system.redis.copy_data(copy)
    time.sleep(draw.uniform(2.0, 5.0))
    injection = _now()
    system.data_lost = True
    system.redis.kill()
    system.redis.restore_data(copy)
    system.redis.restart()
    return injection


def kill_broker(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """kill -9 of the broker and, after up to two seconds, its restart. Only commits after that count."""
    if system.broker is None:
        raise ValueError("this system's broker is not its own, it must not be killed")
    began_s = time.monotonic()
    system.broker.kill()
    time.sleep(draw.uniform(0.0, 2.0))
    system.broker.restart()
    return FaultInjection(began_s, _now().recovered_after_ms)


def pause_worker(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """SIGSTOP of a worker until another has taken over its partitions, then SIGCONT: a zombie."""
    victim = draw.choice(_owning(system, at_least=2))
    injection = _now()
    victim.suspend()
    try:
        system.await_commits(injection.recovered_after_ms)
        taken_over = injection._replace(recovered_s=time.monotonic())
        time.sleep(draw.uniform(0.0, 1.0))
    finally:
        victim.resume()
    return taken_over


def join_and_leave(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """One more worker joins, owns partitions for a while, and leaves by SIGTERM."""
    extra = system.supervisor.add()
    system.await_that(lambda: system.owns_something(extra), 60.0, f"{extra.name} to own partitions")
    time.sleep(draw.uniform(0.5, 2.0))
    injection = _now()
    code = system.supervisor.remove(extra)
    if code != 0:
        raise RuntimeError(f"{extra.name} was asked to leave and ended with exit code {code}")
    return injection


def replay_topic(system: SystemUnderTest, _: random.Random) -> FaultInjection:
    """All workers leave, the group's offsets in Kafka go back to 0, and as many workers start again."""
    workers = system.supervisor.workers
    injection = _now()
    for worker in workers:
        system.supervisor.remove(worker)
    reset_group(system)
    for _worker in workers:
        system.supervisor.add()
    return injection


def lose_offsets(system: SystemUnderTest, _: random.Random) -> FaultInjection:
    """The stored offsets are deleted while the state stays; only the event ids keep the totals right."""
    injection = _now()
    system.counters_exact = False  # what is read again is counted again, as duplicates and rejected records
    for p in range(system.keys.partitions):
        meta = system.keys.meta(p)
        names: list[Any] = system.client.hkeys(meta)
        offsets = [name for name in names if name.startswith(b"off:")]
        if offsets:
            system.client.hdel(meta, *offsets)
    return injection


def empty_redis(system: SystemUnderTest, _: random.Random) -> FaultInjection:
    """Redis loses everything; the state is built again from the log."""
    injection = _now()
    system.counters_exact = system.data_lost = True
    system.client.flushdb()
    return injection


def kill_archive(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """kill -9 of the archive at any step, and its restart; it has recovered when it writes again."""
    archive = system.archive
    if archive is None:
        raise ValueError("this system has no archive")
    time.sleep(draw.uniform(0.0, 1.0))
    injection = _now()
    archive.kill()
    before = system.archive_generation()
    archive.start()
    system.await_that(lambda: system.archive_generation() > before, 60.0, "the archive to write again")
    return injection._replace(recovered_s=time.monotonic())


def kill_publisher(system: SystemUnderTest, draw: random.Random) -> FaultInjection:
    """kill -9 of the publisher at any step, and after up to a second its restart: commits go on."""
    publisher = system.publisher
    if publisher is None:
        raise ValueError("this system has no publisher")
    time.sleep(draw.uniform(0.0, 1.0))
    injection = _now()
    publisher.kill()
    time.sleep(draw.uniform(0.0, 1.0))
    publisher.start()
    return injection


FAULTS: dict[str, Fault] = {
    "kill worker": kill_worker,
    "kill redis": kill_redis,
    "rewind redis": rewind_redis,
    "kill broker": kill_broker,
    "pause worker": pause_worker,
    "join and leave": join_and_leave,
    "replay topic": replay_topic,
    "lose offsets": lose_offsets,
    "empty redis": empty_redis,
}
PUBLISHER_FAULTS: dict[str, Fault] = {"kill publisher": kill_publisher}
"""Those of a system with a publisher."""
ARCHIVE_FAULTS: dict[str, Fault] = {"kill archive": kill_archive}
"""Those of a system with an archive."""


def reset_group(system: SystemUnderTest) -> None:
    """Move the group's committed offsets to 0; it must have no members."""
    places = [
        TopicPartition(topic, p, 0)
        for topic in Topics(system.settings.topic_prefix).events
        for p in range(system.settings.partitions)
    ]
    wanted = ConsumerGroupTopicPartitions(system.settings.group, places)
    admin = AdminClient(librdkafka_arguments(system.settings))
    for answer in admin.alter_consumer_group_offsets([wanted], request_timeout=30).values():
        answer.result()


def _owning(system: SystemUnderTest, *, at_least: int) -> list[Child]:
    """Workers that own partitions; workers are added until there are enough."""
    while len(system.supervisor.workers) < at_least:
        system.supervisor.add()

    def owning() -> list[Child]:
        return [worker for worker in system.supervisor.workers if system.owns_something(worker)]

    system.await_that(lambda: len(owning()) >= at_least, 60.0, f"{at_least} workers to own partitions")
    return owning()


def _now() -> FaultInjection:
    return FaultInjection(time.monotonic(), wall_clock_ms())
