"""The key with which the demo's terminal goes on once the API asks for keys."""

import asyncio

from api.identity.key_store import KeyPlan, KeyStore
from api.identity.principal import Scope
from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings


def make_terminal_key(settings: Settings) -> dict[str, str]:
    """The header with a new key that may read figures; raises `redis.RedisError`."""
    return {"Authorization": f"Bearer {asyncio.run(_make(settings))}"}


async def _make(settings: Settings) -> str:
    redis = open_redis_pool(settings)
    try:
        store = KeyStore(redis, Keys(settings.namespace, settings.partitions))
        key, _ = await store.create(
            KeyPlan("the demo's terminal", scopes=(Scope.INSIGHTS_READ,)), wall_clock_ms()
        )
    finally:
        await redis.aclose()
    return str(key)
