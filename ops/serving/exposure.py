"""Whether the API may listen where it is told to: not wider than this machine without keys."""

import asyncio

from redis.exceptions import RedisError

from api.identity.key_store import KeyStore
from api.identity.key_text import KeyKind
from api.identity.origins import is_loopback
from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings


def explain_exposure(settings: Settings) -> str | None:
    """Why the API must not start, and what to do; None if it may."""
    if is_loopback(settings.api_host) or settings.root_key is not None:
        return None
    try:
        if asyncio.run(_has_secret_key(settings)):
            return None
        reason = "no key exists"
    except RedisError as exc:
        reason = f"Redis does not say whether there are keys ({exc})"
    return (
        f"The API will not listen on {settings.api_host}, which others can reach: {reason}.\n"
        "Set STOREPULSE_ROOT_KEY to 32 or more random characters (openssl rand -hex 32), or create a key "
        "with\n"
        "`storepulse keys create NAME --scope operations:read`, or listen on this machine only with\n"
        "STOREPULSE_API_HOST=127.0.0.1."
    )


async def _has_secret_key(settings: Settings) -> bool:
    redis = open_redis_pool(settings)
    try:
        records = await KeyStore(redis, Keys(settings.namespace, settings.partitions)).load()
    finally:
        await redis.aclose()
    now_ms = wall_clock_ms()
    return any(
        record.kind is KeyKind.SECRET and record.state(now_ms) == "active" for record in records.values()
    )
