"""Clients of Redis for one thread, and what every client needs to reach it."""

from typing import Any

from redis import Redis

from contracts.settings import Settings


def redis_arguments(settings: Settings) -> dict[str, Any]:
    """Where Redis is and how it lets us in, as arguments of `from_url` of clients and pools."""
    password = settings.redis_password
    return {"url": settings.redis_url, "password": password.get_secret_value() if password else None}


def open_redis(
    settings: Settings,
    *,
    timeout_s: float = 5.0,
    connect_timeout_s: float = 5.0,
    decode_responses: bool = False,
) -> Redis:
    """A client that waits for each answer; it connects at the first command.

    A command raises `redis.RedisError` where Redis is away or does not answer within `timeout_s`.
    """
    return Redis.from_url(
        **redis_arguments(settings),
        socket_timeout=timeout_s,
        socket_connect_timeout=connect_timeout_s,
        decode_responses=decode_responses,
    )
