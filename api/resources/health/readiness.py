"""Whether the API can answer with live figures: each part it needs, and the worst of them."""

import asyncio
import time

from redis.exceptions import RedisError

from api.http.load_shedding import Load
from api.http.parts import Part, PartStatus
from api.resources.health import schemas
from api.services import Services
from connections.redis_check import check_redis
from connections.redis_troubles import redis_trouble
from connections.troubles import Trouble
from contracts.clock import wall_clock_ms
from contracts.heartbeat import Heartbeat
from readers.reader import Reader

SLOW_PING_MS = 250.0

_ORDER: tuple[PartStatus, ...] = ("ok", "degraded", "down")


async def check_readiness(services: Services) -> schemas.Readiness:
    """The parts that resources need, the state store, the stream and the load of this process.

    Never raises because one of them is away.
    """
    checks = [check(services) for resource in services.resources for check in resource.checks]
    parts = {
        name: part
        for found in await asyncio.gather(_check_reads(services.reader), *checks)
        for name, part in found.items()
    }
    parts["load"] = judge_load(services.load)
    worst = max((part.status for part in parts.values()), key=_ORDER.index)
    return schemas.Readiness(status="stopping" if services.lifetime.stopping else worst, parts=parts)


def judge_load(load: Load) -> Part:
    """Degraded while the next request would be refused."""
    status: PartStatus = "degraded" if load.is_full else "ok"
    return Part(status=status, detail=f"{load.under_way} of {load.limit} requests under way")


async def _check_reads(reader: Reader) -> dict[str, Part]:
    started = time.perf_counter()
    try:
        await reader.redis.ping()
        ping_ms = (time.perf_counter() - started) * 1_000
        trouble = await check_redis(reader.redis, reader.keys.write_probe())
        workers = await reader.heartbeats(now_ms=wall_clock_ms())
    except (RedisError, OSError) as exc:
        return {
            "redis": _describe(redis_trouble(exc)),
            "stream": Part(status="down", detail="unknown while Redis does not answer"),
        }
    if trouble is not None:  # workers say how they are by writing
        stands = Part(status="down", detail="waiting for Redis to accept writes")
        return {"redis": _describe(trouble), "stream": stands}
    return {"redis": _judge_redis(ping_ms), "stream": judge_stream(workers, reader.settings.partitions)}


def _describe(trouble: Trouble) -> Part:
    return Part(status="down", detail=str(trouble))


def judge_stream(workers: list[Heartbeat], partitions: int) -> Part:
    """Down without a worker, degraded while some partition has none."""
    if not workers:
        return Part(status="down", detail="no worker has reported in the last 10 s")
    owned = {p for worker in workers for p in worker.partitions}
    detail = (
        f"{len(workers)} worker{'' if len(workers) == 1 else 's'}, {len(owned)} of {partitions} partitions"
    )
    waits = [line for worker in workers for line in worker.waits]
    if waits:
        more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        return Part(status="degraded", detail=f"{detail}; {waits[0]}{more}")
    return Part(status="ok" if len(owned) == partitions else "degraded", detail=detail)


def _judge_redis(ping_ms: float) -> Part:
    status: PartStatus = "ok" if ping_ms <= SLOW_PING_MS else "degraded"
    return Part(status=status, detail=f"answered in {ping_ms:.1f} ms")
