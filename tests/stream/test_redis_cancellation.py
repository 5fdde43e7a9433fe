"""Whoever is cancelled amid a call to Redis ends, whenever that is."""

import asyncio
from collections.abc import Callable

import pytest
import redis.asyncio as redis

from connections.asyncio_redis import open_redis_pool, open_worker_redis
from contracts.settings import Settings
from services import unique_settings

TURNS = 40
"""More turns of the event loop than a call takes that needs to wait for nothing."""


async def ping(client: redis.Redis) -> None:
    await client.ping()


@pytest.mark.parametrize("opened", [open_worker_redis, open_redis_pool])
async def test_no_cancellation_is_lost(redis_url: str, opened: Callable[[Settings], redis.Redis]) -> None:
    client = opened(unique_settings("127.0.0.1:1", redis_url, partitions=1))
    cancelled = 0
    for connects in (True, False):
        for turns in range(TURNS):
            if connects:
                await client.connection_pool.disconnect()
            else:
                await ping(client)
            call = asyncio.create_task(ping(client))
            for _ in range(turns):
                await asyncio.sleep(0)
            if call.done():
                continue
            call.cancel()
            done, _ = await asyncio.wait([call], timeout=10)
            assert done, turns
            assert call.cancelled(), f"it went on after {turns} turns"
            cancelled += 1
    await client.aclose()
    assert cancelled > 5
