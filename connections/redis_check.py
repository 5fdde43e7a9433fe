"""Asks Redis whether it lets us in and takes what we write."""

import redis.asyncio as aio
from redis import Redis
from redis.exceptions import RedisError

from connections.redis_troubles import redis_trouble
from connections.troubles import ConnectionRefused, Trouble

PROBE_MS = 1_000
"""What is written to see whether it can be is gone after this."""


async def check_redis(client: aio.Redis, probe_key: str) -> Trouble | None:
    """What keeps Redis from answering, or from taking writes; None if nothing does."""
    try:
        await client.set(probe_key, b"", px=PROBE_MS)
    except (RedisError, OSError) as exc:
        return redis_trouble(exc)
    return None


def check_redis_now(client: Redis, probe_key: str) -> Trouble | None:
    """The same for a client that waits."""
    try:
        client.set(probe_key, b"", px=PROBE_MS)
    except (RedisError, OSError) as exc:
        return redis_trouble(exc)
    return None


async def require_redis(client: aio.Redis, probe_key: str) -> None:
    """Raises `ConnectionRefused` if Redis says no to these settings; one that is away may still come."""
    trouble = await check_redis(client, probe_key)
    if trouble is not None and trouble.is_refusal:
        raise ConnectionRefused(trouble)
