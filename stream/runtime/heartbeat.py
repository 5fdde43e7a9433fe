"""The worker's heartbeat: once a second, its own figures into Redis."""

import asyncio
import logging
import os
import time
from collections import Counter

import psutil
import redis.asyncio as redis
from redis.exceptions import RedisError

from connections.redis_troubles import redis_trouble
from contracts.clock import wall_clock_ms
from contracts.heartbeat import HEARTBEAT_TTL_S, NEXT_ACTION, Heartbeat, SlotReport
from contracts.keys import Keys
from stream.partitions.assignment import Assignment
from stream.runtime.metrics import Meter
from stream.scoring.slot_steps import SlotSteps

log = logging.getLogger(__name__)

INTERVAL_S = 1.0


async def beat(
    client: redis.Redis,
    keys: Keys,
    assignment: Assignment,
    meter: Meter,
    slots: SlotSteps,
    *,
    worker_id: str,
    port: int,
) -> None:
    """Write heartbeats until cancelled; an unreachable Redis costs heartbeats, nothing else."""
    process = psutil.Process()
    while True:
        now_ms = wall_clock_ms()
        events_per_s, p50_ms, p99_ms = meter.recent(now_ms=now_ms)
        _set_gauges(assignment, meter)
        reports = slots.reports()
        own = next((report for report in reports if report.slot == NEXT_ACTION), SlotReport(NEXT_ACTION))
        heartbeat = Heartbeat(
            worker_id, now_ms, os.getpid(), events_per_s, p50_ms, p99_ms,
            process.memory_info().rss, tuple(sorted(assignment.partitions)), port,
            own.model, own.state, own.scored, own.skipped, own.drift, reports,
            assignment.blocked.describe(),
        )  # fmt: skip
        try:
            await _write(client, keys, heartbeat)
        except (RedisError, OSError) as exc:
            meter.redis.failed(exc)
        else:
            meter.redis.answered(wrote=True)
        await asyncio.sleep(INTERVAL_S)


async def _write(client: redis.Redis, keys: Keys, heartbeat: Heartbeat) -> None:
    key = keys.worker(heartbeat.worker_id)
    async with client.pipeline(transaction=True) as pipe:  # one each: the keys may lie in different slots
        pipe.hset(key, items=[x for item in heartbeat.to_hash().items() for x in item])
        pipe.expire(key, HEARTBEAT_TTL_S)
        await pipe.execute()
    async with client.pipeline(transaction=True) as pipe:
        pipe.zadd(keys.workers(), {heartbeat.worker_id: heartbeat.at_ms})
        pipe.zremrangebyscore(keys.workers(), "-inf", heartbeat.at_ms - HEARTBEAT_TTL_S * 1_000)
        await pipe.execute()


async def say_goodbye(client: redis.Redis, keys: Keys, worker_id: str) -> None:
    """Take the heartbeat back, so that nobody waits for a worker that has left."""
    try:
        await client.zrem(keys.workers(), worker_id)
        await client.delete(keys.worker(worker_id))
    except (RedisError, OSError) as exc:
        log.debug("cannot remove the heartbeat: %s", redis_trouble(exc).found)


def _set_gauges(assignment: Assignment, meter: Meter) -> None:
    now_s = time.monotonic()
    sizes, values = Counter[str](), Counter[str]()
    for part in list(assignment.partitions.values()):
        for name, component in assignment.registry.components.items():
            sizes[name] += component.size(part.states[name])
            values[name] += len(part.values.get(name, ()))
        meter.lag.labels(part.number).set(part.lag)
        meter.progress_age.labels(part.number).set(now_s - part.progress_s)
    for name in assignment.registry.components:
        meter.component_bytes.labels(name).set(sizes[name])
        meter.component_values.labels(name).set(values[name])
