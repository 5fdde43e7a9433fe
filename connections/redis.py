"""Clients of Redis for one thread, and what every client needs to reach it."""

from typing import Any

from redis import Redis

from connections.tls import make_context
from contracts.connection_settings import ConnectionSettings as Settings


def redis_arguments(settings: Settings) -> dict[str, Any]:
    """Where Redis is and how it lets us in, as arguments of `from_url` of clients and pools.

    Raises `connections.tls.CertificateError` for files that a client could only fail with later.
    """
    password = settings.redis_password
    arguments: dict[str, Any] = {
        "url": settings.redis_url,
        "username": settings.redis_username or None,
        "password": password.get_secret_value() if password else None,
    }
    if uses_tls(settings):
        make_context(
            "redis", ca=settings.redis_ca, certificate=settings.redis_certificate, key=settings.redis_key
        )
        arguments |= {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": settings.redis_ca or None,
            "ssl_certfile": settings.redis_certificate or None,
            "ssl_keyfile": settings.redis_key or settings.redis_certificate or None,
        }
    return arguments


def uses_tls(settings: Settings) -> bool:
    """Whether connections are encrypted."""
    return settings.redis_url.startswith("rediss://")


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
