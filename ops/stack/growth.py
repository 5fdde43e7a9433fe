"""More partitions for an installation: state in Redis moves to where its ids belong, and Kafka's topics grow.

Nothing else may run meanwhile. What is under way stands in Redis (`Keys.installation`), so a run that was
interrupted goes on where it was when it is started again, and no worker starts before it is done.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from connections.kafka import kafka_python_arguments
from connections.redis import open_redis
from contracts.key_families import (
    ACTIVE,
    FORGETTING,
    FORGOTTEN,
    JOB_QUEUES,
    SNAPSHOTS,
    TIMERS,
    VISITOR_TIMERS,
    family_of,
)
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.subjects import PERSONAL
from contracts.topics import Topics
from ops.stack.topics import open_admin, partition_counts
from stream.registry import make_registry

PAGE = 1_000
TIMEOUT_S = 30.0

Report = Callable[[str, int], None]
"""Told what is being done and how many keys are."""


class GrowthError(RuntimeError):
    """The installation cannot grow as it is now; the message says why, and what to do."""


class Move(NamedTuple):
    """Where the keys of an installation of `old` partitions go in one of `new`."""

    old: Keys
    new: Keys
    personal_timers: frozenset[str]

    @property
    def start(self) -> str:
        """What keys begin with that are on their way."""
        return f"{self.old.namespace}:{{growing}}:"


def grow(settings: Settings, partitions: int, report: Report = lambda _, __: None) -> None:
    """Give the installation more partitions; raises `GrowthError`, `KafkaError` or `redis.RedisError`."""
    if partitions <= settings.partitions:
        raise GrowthError(
            f"the installation has {settings.partitions} partitions and can only grow, got {partitions}"
        )
    registry = make_registry(settings)  # first: it makes topics, keys and timers known
    move = Move(
        Keys(settings.namespace, settings.partitions),
        Keys(settings.namespace, partitions),
        frozenset(
            TIMERS + kind
            for kind, component in registry.timers()
            if component.values is not None and component.values.kind in PERSONAL
        ),
    )
    with open_redis(settings, timeout_s=TIMEOUT_S) as client, open_admin(settings) as admin:
        phase = _phase(client, move)
        if not phase:
            _check_rest(client, settings, move.old)
        if phase in ("", "leaving"):
            _note(client, move, "leaving")
            report("moving state out of its partitions", _leave(client, move))
            _note(client, move, "placing")
        report("moving state to its new partitions", _place(client, move))
        report("adding partitions to topics", _grow_topics(admin, settings, partitions))
        client.hset(move.old.installation(), "partitions", partitions)
        client.hdel(move.old.installation(), "growing", "phase")


def _phase(client: Any, move: Move) -> str:
    """How far an earlier run came, if there was one; raises `GrowthError` if it wanted another number."""
    growing, phase = client.hmget(move.old.installation(), "growing", "phase")
    wanted = f"{move.old.partitions} {move.new.partitions}"
    if growing is not None and growing.decode() != wanted:
        old, new = growing.decode().split()
        raise GrowthError(
            f"an earlier run from {old} to {new} partitions was interrupted: finish it first with "
            f"STOREPULSE_PARTITIONS={old} storepulse topics grow {new}"
        )
    return phase.decode() if phase is not None else ""


def _note(client: Any, move: Move, phase: str) -> None:
    growing = f"{move.old.partitions} {move.new.partitions}"
    client.hset(move.old.installation(), mapping={"growing": growing, "phase": phase})


def _check_rest(client: Any, settings: Settings, keys: Keys) -> None:
    """Raises `GrowthError` while a worker runs, or if there is something that is not applied yet."""
    stored = client.hget(keys.installation(), "partitions")
    if stored is not None and int(stored) != keys.partitions:
        raise GrowthError(
            f"Redis holds the state of {int(stored)} partitions, STOREPULSE_PARTITIONS says {keys.partitions}"
        )
    workers = client.zcard(keys.workers())
    if workers:
        raise GrowthError(
            f"{workers} workers are running, or were killed less than 10 s ago: stop workers, API and "
            "deliverer first"
        )
    waiting = _count_waiting(client, settings, keys)
    if waiting:
        raise GrowthError(
            f"{waiting} records are not applied yet and would be missed in the new partitions: stop the "
            "API and your "
            "own producers, let a worker finish, then stop it"
        )


def _count_waiting(client: Any, settings: Settings, keys: Keys) -> int:
    consumer = KafkaConsumer(**kafka_python_arguments(settings), metrics_enabled=False)
    try:
        places = [
            TopicPartition(topic, p)
            for topic in Topics(settings.topic_prefix).partitioned
            for p in range(keys.partitions)
        ]
        starts, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    finally:
        consumer.close()
    waiting = 0
    for place in places:
        stored = client.hget(keys.meta(place.partition), f"off:{place.topic}")
        waiting += max(0, int(ends[place]) - max(int(stored or 0), int(starts[place])))
    return waiting


# -- Redis -------------------------------------------------------------------------------------------------


def _leave(client: Any, move: Move) -> int:
    """Rename every key of a partition: the hash tags of old and new partitions may be the same."""
    done = 0
    for p in range(move.old.partitions):
        prefix = move.old.prefix(p)
        for names in _pages(client, prefix):
            pipe = client.pipeline(transaction=False)
            for name in names:
                pipe.rename(name, f"{move.start}{p}:".encode() + name.removeprefix(prefix.encode()))
            pipe.execute()
            done += len(names)
    return done


def _place(client: Any, move: Move) -> int:
    """Put every key that is on its way where it belongs; what was done already does no harm."""
    done = 0
    for names in _pages(client, move.start):
        pipe = client.pipeline(transaction=False)
        for name in names:
            p, _, key = name.decode().removeprefix(move.start).partition(":")
            _place_key(client, pipe, move, name, int(p), key)
        pipe.execute()
        done += len(names)
    return done


def _place_key(client: Any, pipe: Any, move: Move, name: bytes, p: int, key: str) -> None:
    new = move.new
    owner = _owner_of(key)
    if owner is not None:
        pipe.rename(name, new.prefix(partition_of(owner, new.partitions)) + key)
    elif key == FORGOTTEN:  # of a digest nobody knows whose it is
        cuts = client.hgetall(name)
        for other in range(new.partitions):
            pipe.hset(new.forgotten(other), mapping=cuts)
        pipe.delete(name)
    elif key == FORGETTING:
        for digest, user_id in client.hgetall(name).items():
            pipe.hset(new.forgetting(partition_of(user_id.decode(), new.partitions)), digest, user_id)
        pipe.delete(name)
    elif (family := family_of(key)) is not None and family.holds_ids and family.holds == "hash":
        for id_, value in client.hgetall(name).items():
            pipe.hset(new.prefix(partition_of(id_.decode(), new.partitions)) + key, id_, value)
        pipe.delete(name)
    elif (
        key in (ACTIVE, VISITOR_TIMERS)
        or key.startswith(JOB_QUEUES)
        or key in move.personal_timers
        or (family is not None and family.holds_ids)
    ):
        ttl_ms = client.pttl(name)
        for member, score in client.zscan_iter(name, count=PAGE):
            home = new.prefix(partition_of(member.decode(), new.partitions)) + key
            pipe.zadd(home, {member: score})
            if ttl_ms > 0:
                pipe.pexpire(home, ttl_ms)
        pipe.delete(name)
    else:  # counters, sums and offsets: what adds up over partitions may lie in any
        pipe.rename(name, new.prefix(p) + key)


def _owner_of(key: str) -> str | None:
    """The id by which a key's partition is told; None if it is not told by one."""
    if key.startswith(SNAPSHOTS):
        return key.removeprefix(SNAPSHOTS).partition(":")[2]
    family = family_of(key)
    if family is None or not (family.is_with_id or family.subject in PERSONAL):
        return None
    return key.removeprefix(family.start)


def _pages(client: Any, prefix: str) -> Iterator[Sequence[bytes]]:
    """Names of keys that begin so, each page as it is found: they go away meanwhile."""
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix) + "*"
    cursor = 0
    while True:
        cursor, names = client.scan(cursor, match=pattern, count=PAGE)
        if names:
            yield names
        if not cursor:
            return


# -- Kafka -------------------------------------------------------------------------------------------------


def _grow_topics(admin: KafkaAdminClient, settings: Settings, partitions: int) -> int:
    """Add partitions to the topics that workers read; says to how many."""
    topics = Topics(settings.topic_prefix)
    counts = partition_counts(admin, topics.partitioned)
    short = {name: partitions for name, count in counts.items() if count < partitions}
    too_many = [name for name, count in counts.items() if count > partitions]
    if too_many:
        raise GrowthError(
            f"{', '.join(too_many)} have more than {partitions} partitions: grow to {max(counts.values())}"
        )
    if short:
        admin.create_partitions(short)
    deadline_s = time.monotonic() + TIMEOUT_S
    while set(partition_counts(admin, topics.partitioned).values()) != {partitions}:
        if time.monotonic() > deadline_s:
            raise GrowthError(f"the new partitions have no leaders after {TIMEOUT_S:.0f} s; run this again")
        time.sleep(0.1)
    return len(short)
