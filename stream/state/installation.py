"""What a worker must agree on with the state that is in Redis: the number of partitions it lies in."""

import asyncio
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from connections.redis_health import RedisHealth
from connections.troubles import ConnectionRefused
from contracts.keys import Keys

RETRY_S = 1.0


class MisfitError(RuntimeError):
    """The state in Redis is not for a worker with these settings; the message says what to do."""


async def join_installation(client: redis.Redis, keys: Keys, health: RedisHealth) -> None:
    """Note the number of partitions if nobody has, and wait for Redis if it is away; raises `MisfitError`.

    A worker that counts partitions differently would look for every visitor elsewhere than where they are.
    """
    while True:
        try:
            await client.hsetnx(keys.installation(), "partitions", str(keys.partitions))
            found: list[Any] = await client.hmget(keys.installation(), ["partitions", "growing"])
            health.answered(wrote=True)
            break
        except (RedisError, OSError) as exc:
            if (trouble := health.failed(exc)).is_refusal:
                raise ConnectionRefused(trouble) from exc
            await asyncio.sleep(RETRY_S)
    stored, growing = found
    if growing is not None:
        old, new = growing.decode().split()
        raise MisfitError(
            f"the installation is growing from {old} to {new} partitions; if that was interrupted, finish it "
            f"with STOREPULSE_PARTITIONS={old} storepulse topics grow {new}"
        )
    if not stored.isdigit():
        raise MisfitError(f"{keys.installation()} does not contain the number of partitions; correct it")
    if int(stored) != keys.partitions:
        raise MisfitError(
            f"Redis holds the state of {int(stored)} partitions, STOREPULSE_PARTITIONS says "
            f"{keys.partitions}; set it back, or use `storepulse topics grow`"
        )
