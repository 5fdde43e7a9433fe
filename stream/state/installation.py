"""What a worker must agree on with the state that is in Redis: the number of partitions it lies in."""

import asyncio
import logging
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from contracts.keys import Keys

log = logging.getLogger(__name__)

RETRY_S = 1.0


class MisfitError(RuntimeError):
    """The state in Redis is not for a worker with these settings; the message says what to do."""


async def join_installation(client: redis.Redis, keys: Keys) -> None:
    """Note the number of partitions if nobody has, and wait for Redis if it is away; raises `MisfitError`.

    A worker that counts partitions differently would look for every visitor elsewhere than where they are.
    """
    while True:
        try:
            await client.hsetnx(keys.installation(), "partitions", str(keys.partitions))
            found: list[Any] = await client.hmget(keys.installation(), ["partitions", "growing"])
            break
        except (RedisError, OSError) as exc:
            log.warning("Redis cannot be asked how many partitions it holds, asking again: %s", exc)
            await asyncio.sleep(RETRY_S)
    stored, growing = found
    if growing is not None:
        old, new = growing.decode().split()
        raise MisfitError(
            f"the installation is growing from {old} to {new} partitions; if that was interrupted, finish it "
            f"with STOREPULSE_PARTITIONS={old} storepulse topics grow {new}"
        )
    if int(stored) != keys.partitions:
        raise MisfitError(
            f"Redis holds the state of {int(stored)} partitions, STOREPULSE_PARTITIONS says "
            f"{keys.partitions}; set it back, or use `storepulse topics grow`"
        )
