"""The faults: each harms a site under load and puts it right again."""

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from connections.kafka import librdkafka_arguments
from contracts.clock import wall_clock_ms
from contracts.topics import Topics
from ops.chaos.system import Site
from ops.stack.child import Child


class Harm(NamedTuple):
    """When it began (monotonic s), and the wall-clock ms after which every partition must commit again.

    `well_s` is when they had, where the fault itself had to wait for it.
    """

    began_s: float
    well_after_ms: int
    well_s: float | None = None


Fault = Callable[[Site, random.Random], Harm]


def kill_worker(site: Site, draw: random.Random) -> Harm:
    """kill -9 of one worker; the supervisor starts it again."""
    victim = draw.choice(site.crew.workers)
    harm = _now()
    victim.kill()
    return harm


def kill_redis(site: Site, draw: random.Random) -> Harm:
    """kill -9 of Redis, and after up to two seconds its restart on the same files."""
    harm = _now()
    site.redis.kill()
    time.sleep(draw.uniform(0.0, 2.0))
    site.redis.restart()
    return harm


def rewind_redis(site: Site, draw: random.Random) -> Harm:
    """kill -9 of Redis, and its restart on a copy of its files that is two to five seconds older."""
    copy = site.folder / "redis-copy"
    site.redis.copy_data(copy)
    time.sleep(draw.uniform(2.0, 5.0))
    harm = _now()
    site.data_lost = True
    site.redis.kill()
    site.redis.restore_data(copy)
    site.redis.restart()
    return harm


def kill_broker(site: Site, draw: random.Random) -> Harm:
    """kill -9 of the broker and, after up to two seconds, its restart. Only commits after that count."""
    if site.broker is None:
        raise ValueError("this site's broker is not its own, it must not be killed")
    began_s = time.monotonic()
    site.broker.kill()
    time.sleep(draw.uniform(0.0, 2.0))
    site.broker.restart()
    return Harm(began_s, _now().well_after_ms)


def pause_worker(site: Site, draw: random.Random) -> Harm:
    """SIGSTOP of a worker until another has taken over its partitions, then SIGCONT: a zombie."""
    victim = draw.choice(_owning(site, at_least=2))
    harm = _now()
    victim.suspend()
    try:
        site.await_commits(harm.well_after_ms)
        taken_over = harm._replace(well_s=time.monotonic())
        time.sleep(draw.uniform(0.0, 1.0))
    finally:
        victim.resume()
    return taken_over


def join_and_leave(site: Site, draw: random.Random) -> Harm:
    """One more worker joins, owns partitions for a while, and leaves by SIGTERM."""
    extra = site.crew.add()
    site.await_that(lambda: site.owns_something(extra), 60.0, f"{extra.name} to own partitions")
    time.sleep(draw.uniform(0.5, 2.0))
    harm = _now()
    code = site.crew.remove(extra)
    if code != 0:
        raise RuntimeError(f"{extra.name} was asked to leave and ended with exit code {code}")
    return harm


def replay_topic(site: Site, _: random.Random) -> Harm:
    """All workers leave, the group's offsets in Kafka go back to 0, and as many workers start again."""
    workers = site.crew.workers
    harm = _now()
    for worker in workers:
        site.crew.remove(worker)
    reset_group(site)
    for _worker in workers:
        site.crew.add()
    return harm


def lose_offsets(site: Site, _: random.Random) -> Harm:
    """The stored offsets are deleted while the state stays; only the event ids keep the totals right."""
    harm = _now()
    site.counters_exact = False  # what is read again is counted again, as duplicates and rejected records
    for p in range(site.keys.partitions):
        meta = site.keys.meta(p)
        names: list[Any] = site.client.hkeys(meta)
        offsets = [name for name in names if name.startswith(b"off:")]
        if offsets:
            site.client.hdel(meta, *offsets)
    return harm


def empty_redis(site: Site, _: random.Random) -> Harm:
    """Redis loses everything; the state is built again from the log."""
    harm = _now()
    site.counters_exact = site.data_lost = True
    site.client.flushdb()
    return harm


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


def reset_group(site: Site) -> None:
    """Move the group's committed offsets to 0; it must have no members."""
    places = [
        TopicPartition(topic, p, 0)
        for topic in Topics(site.settings.topic_prefix).events
        for p in range(site.settings.partitions)
    ]
    wanted = ConsumerGroupTopicPartitions(site.settings.group, places)
    admin = AdminClient(librdkafka_arguments(site.settings))
    for answer in admin.alter_consumer_group_offsets([wanted], request_timeout=30).values():
        answer.result()


def _owning(site: Site, *, at_least: int) -> list[Child]:
    """Workers that own partitions; workers are added until there are enough."""
    while len(site.crew.workers) < at_least:
        site.crew.add()

    def owning() -> list[Child]:
        return [worker for worker in site.crew.workers if site.owns_something(worker)]

    site.await_that(lambda: len(owning()) >= at_least, 60.0, f"{at_least} workers to own partitions")
    return owning()


def _now() -> Harm:
    return Harm(time.monotonic(), wall_clock_ms())
