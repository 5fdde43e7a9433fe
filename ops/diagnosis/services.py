"""The doctor's checks of the services: Redis, Kafka, their clocks, the topics."""

from collections.abc import Iterator
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from redis.exceptions import RedisError

from connections.redis import open_redis
from contracts.clock import wall_clock_ms
from contracts.extensions import load_contracts
from contracts.settings import Settings
from contracts.topics import Topics
from ops.diagnosis.checks import Check, Level
from ops.diagnosis.refused import check_refused
from ops.stack.topics import TopicsError, check_counts, open_admin, partition_counts

MIN_REDIS = (6, 2)
MAX_CLOCK_APART_MS = 2_000
GROW = "`storepulse topics grow` makes them equal; records in partitions that not all have wait until then"


def check_services(settings: Settings, *, required: bool) -> Iterator[Check]:
    """Checks of the services the settings name; not reaching them fails only when they are `required`."""
    load_contracts(settings)  # which may register topics
    absent = Level.FAIL if required else Level.WARN
    advice = (
        "look into its log" if required else "`storepulse up` starts one; STOREPULSE_* variables name yours"
    )
    try:
        yield from _check_redis(settings)
    except RedisError as exc:
        yield Check("redis", absent, f"no answer at {settings.redis_url}: {exc}", advice)
    try:
        with open_admin(settings) as admin:
            yield from _check_kafka(settings, admin)
    except KafkaError as exc:
        yield Check("kafka", absent, f"no answer at {settings.bootstrap}: {exc}", advice)


def check_redis_version(found: str) -> Check:
    """Redis new enough?"""
    numbers = tuple(int(part) for part in found.split(".")[:2])
    if numbers >= MIN_REDIS:
        return Check("redis", Level.OK, found)
    return Check("redis", Level.FAIL, found, "Redis 6.2 or newer is needed")


def check_eviction(policy: str) -> Check:
    """Does a full Redis refuse, as it must?"""
    if policy == "noeviction":
        return Check("redis maxmemory-policy", Level.OK, policy)
    advice = "CONFIG SET maxmemory-policy noeviction: an evicted offset would be counted from the start again"
    return Check("redis maxmemory-policy", Level.FAIL, policy, advice)


def check_persistence(info: dict[str, Any], *, embedded: bool) -> Check:
    """Does Redis keep its state? With the embedded broker neither does."""
    if info.get("aof_enabled"):
        return Check("redis persistence", Level.OK, "append-only file")
    if embedded:
        return Check("redis persistence", Level.OK, "none, like the embedded broker")
    advice = "set `appendonly yes`: without it a restart reads whatever Kafka still has from the start"
    return Check("redis persistence", Level.WARN, "no append-only file", advice)


def check_clock(name: str, apart_ms: int) -> Check:
    """Does a service's clock agree with ours? `apart_ms` is theirs minus ours."""
    if abs(apart_ms) <= MAX_CLOCK_APART_MS:
        return Check(f"clock of {name}", Level.OK, f"{apart_ms:+d} ms")
    return Check(f"clock of {name}", Level.WARN, f"{apart_ms:+d} ms", "run NTP on both machines")


def check_topics(counts: dict[str, int], topics: Topics) -> Check:
    """All topics there, and co-partitioned?"""
    missing = sorted(set(topics.all) - counts.keys())
    if missing:
        return Check(
            "topics", Level.FAIL, f"missing: {', '.join(missing)}", "`storepulse topics` creates them"
        )
    try:
        count = check_counts({name: counts[name] for name in topics.partitioned})
    except TopicsError as exc:
        return Check("topics", Level.FAIL, str(exc), GROW)
    return Check("topics", Level.OK, f"{', '.join(topics.partitioned)} with {count} partitions each")


def _check_redis(settings: Settings) -> Iterator[Check]:
    with open_redis(settings, decode_responses=True) as client:
        before_ms = wall_clock_ms()
        seconds, micros = client.time()
        after_ms = wall_clock_ms()
        yield check_redis_version(str(client.info("server")["redis_version"]))
        yield check_eviction(str(client.config_get("maxmemory-policy")["maxmemory-policy"]))
        yield check_persistence(client.info("persistence"), embedded=bool(settings.kafka_api))
        yield check_clock("redis", seconds * 1_000 + micros // 1_000 - (before_ms + after_ms) // 2)


def _check_kafka(settings: Settings, admin: KafkaAdminClient) -> Iterator[Check]:
    brokers = admin.describe_cluster()["brokers"]
    yield Check(
        "kafka", Level.OK, f"{len(brokers)} broker{'s' * (len(brokers) != 1)} at {settings.bootstrap}"
    )
    topics = Topics(settings.topic_prefix)
    existing = set(admin.list_topics()) & set(topics.all)
    yield check_topics(partition_counts(admin, tuple(existing)) if existing else {}, topics)
    if topics.rejected in existing:
        yield check_refused(settings)
