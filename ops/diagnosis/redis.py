"""The doctor's checks of Redis: what it is, whether it does what we ask, and what the stream says of it."""

from collections.abc import Iterator
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from connections.redis import open_redis
from connections.redis_check import check_redis_now
from connections.redis_troubles import redis_trouble
from connections.tls import CertificateError
from connections.troubles import Trouble
from contracts.blob_formats import LATER
from contracts.clock import wall_clock_ms
from contracts.heartbeat import from_hash
from contracts.key_families import QUARANTINE, QUARANTINE_TTL_S
from contracts.keys import Keys
from contracts.settings import Settings
from ops.diagnosis.checks import Check, Level, check_clock
from ops.diagnosis.outboxes import check_outboxes, read_outboxes
from ops.diagnosis.webhooks import check_webhooks

MIN_REDIS = (6, 2)
NEARLY_FULL = 0.9


def check_redis(settings: Settings, absent: Check) -> Iterator[Check]:
    """Every check of the Redis in the settings; `absent` is that of one that does not answer."""
    try:
        with open_redis(settings, decode_responses=True) as client:
            keys = Keys(settings.namespace, settings.partitions)
            yield from _check_server(client, embedded=bool(settings.kafka_api))
            yield check_writes(check_redis_now(client, keys.write_probe()))
            yield check_waits(_waits(client, keys))
            yield check_outboxes(read_outboxes(client, keys))
            yield check_lost(_summed(client, keys, "lost"))
            yield check_quarantine(_summed(client, keys, "quarantined"), settings.namespace)
            yield from check_webhooks(client, settings)
    except CertificateError as exc:
        yield Check("redis", Level.FAIL, "not asked", str(exc))
    except (RedisError, OSError) as exc:
        yield judge_trouble("redis", settings.redis_url, redis_trouble(exc), absent)


def judge_trouble(name: str, where: str, trouble: Trouble, absent: Check) -> Check:
    """A service that does not let us in, or is not there."""
    if trouble.code in ("away", "slow"):
        return Check(name, absent.level, f"{trouble.found} at {where}", absent.advice)
    return Check(name, Level.FAIL, f"{trouble.found} ({where})", trouble.remedy)


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
    advice = (
        "CONFIG SET maxmemory-policy noeviction: else everything is counted again once an offset is evicted"
    )
    return Check("redis maxmemory-policy", Level.FAIL, policy, advice)


def check_memory(info: dict[str, Any]) -> Check:
    """Room left under `maxmemory`?"""
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    found = f"{used / 2**20:,.0f} MiB used"
    if not most:
        return Check("redis memory", Level.OK, f"{found}, no limit")
    found += f" of {most / 2**20:,.0f}"
    if used < NEARLY_FULL * most:
        return Check("redis memory", Level.OK, found)
    advice = "raise maxmemory, or shorten the lifetimes STOREPULSE_*_TTL_S: a full Redis rejects writes"
    return Check("redis memory", Level.FAIL if used >= most else Level.WARN, found, advice)


def check_persistence(info: dict[str, Any], *, embedded: bool) -> Check:
    """Does Redis keep its state? With the embedded broker neither does."""
    if info.get("aof_enabled"):
        return Check("redis persistence", Level.OK, "append-only file")
    if embedded:
        return Check("redis persistence", Level.OK, "none, like the embedded broker")
    advice = "set `appendonly yes`: without it, a restart counts all that Kafka still has again"
    return Check("redis persistence", Level.WARN, "no append-only file", advice)


def check_writes(trouble: Trouble | None) -> Check:
    """Does Redis take writes?"""
    if trouble is None:
        return Check("redis writes", Level.OK, "taken")
    return Check("redis writes", Level.FAIL, trouble.found, trouble.remedy)


def check_waits(waits: list[str]) -> Check:
    """Does a partition stand still because of a key that somebody else, or a later version, wrote?"""
    if not waits:
        return Check("blocked partitions", Level.OK, "none")
    advice = "rename or delete this key: the partition then continues by itself, and nothing is lost"
    if any(LATER in reason for reason in waits):
        advice = "upgrade the workers to the version that wrote it: the partition goes on, with nothing lost"
    return Check("blocked partitions", Level.FAIL, "; ".join(waits), advice)


def check_lost(count: int) -> Check:
    """Did Kafka delete records before workers had read them, at any time?"""
    if not count:
        return Check("lost events", Level.OK, "none")
    advice = (
        "keep events longer (retention.ms of the event topics), or add workers; the workers' logs say when "
        "and where ('deleted before they were read')"
    )
    return Check("lost events", Level.WARN, f"Kafka deleted {count:,} before they were read", advice)


def check_quarantine(count: int, namespace: str) -> Check:
    """Were there values that nobody could read?"""
    if not count:
        return Check("unreadable values", Level.OK, "none")
    advice = (
        f"find out who writes into this Redis; for {QUARANTINE_TTL_S // 86_400} days they are under "
        f"`redis-cli --scan --pattern '{namespace}:*:{QUARANTINE}*'`"
    )
    return Check(
        "unreadable values", Level.WARN, f"{count} were set aside; their subjects started over", advice
    )


def _check_server(client: Redis, *, embedded: bool) -> Iterator[Check]:
    before_ms = wall_clock_ms()
    seconds, micros = client.time()
    after_ms = wall_clock_ms()
    yield check_redis_version(str(client.info("server")["redis_version"]))
    memory = client.info("memory")
    yield check_memory(memory)
    yield check_eviction(str(memory.get("maxmemory_policy", "unknown")))
    yield check_persistence(client.info("persistence"), embedded=embedded)
    yield check_clock("redis", seconds * 1_000 + micros // 1_000 - (before_ms + after_ms) // 2)


def _waits(client: Redis, keys: Keys) -> list[str]:
    found: list[str] = []
    for worker_id in cast(list[str], client.zrange(keys.workers(), 0, -1)):
        fields = cast(dict[str, str], client.hgetall(keys.worker(worker_id)))
        try:
            found += from_hash(fields).waits if fields else ()
        except (KeyError, TypeError, ValueError):  # of another version
            continue
    return found


def _summed(client: Redis, keys: Keys, counter: str) -> int:
    """A counter of all partitions."""
    pipe = client.pipeline(transaction=False)
    for p in range(keys.partitions):
        pipe.hget(keys.meta(p), counter)
    return sum(int(count) for count in pipe.execute(raise_on_error=False) if str(count).isdigit())
