"""Clients of Redis for asyncio: a pool for the many requests of the API, and a worker's client."""

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.connection import HiredisRespSerializer

from connections.redis import redis_arguments, uses_tls
from contracts.settings import Settings

_POOL_CONNECTIONS = 100
"""More requests than that may be under way: those that come then wait for a connection, up to the timeout."""
_POOL_TIMEOUT_S = 2.0


def open_redis_pool(settings: Settings) -> redis.Redis:
    """A client for many requests at a time; it connects at the first command.

    One quick retry outlives a Redis that was restarted between two requests; a Redis that stays away is
    reported within about a second, not waited for.
    """
    pool: redis.BlockingConnectionPool = redis.BlockingConnectionPool.from_url(
        **redis_arguments(settings),
        max_connections=_POOL_CONNECTIONS,
        timeout=_POOL_TIMEOUT_S,
        socket_timeout=_POOL_TIMEOUT_S,
        socket_connect_timeout=1.0,
        retry=Retry(ExponentialBackoff(cap=0.05, base=0.01), 1),
        connection_class=_PackingTlsConnection if uses_tls(settings) else _PackingConnection,
    )
    return redis.Redis.from_pool(pool)


def open_worker_redis(settings: Settings) -> redis.Redis:
    """A client with a time limit on every call, so that nothing can hang in a rebalance."""
    client: redis.Redis = redis.Redis.from_url(
        **redis_arguments(settings),
        socket_timeout=5.0,
        socket_connect_timeout=2.0,
        connection_class=_TranslatingTlsConnection if uses_tls(settings) else _TranslatingConnection,
    )
    return client


class _Cancellable(redis.connection.AbstractConnection):
    """A connection that loses no cancellation of whoever sends by it.

    redis-py sends within `asyncio.wait_for`, which in Python 3.11 gives back what was waited for, and forgets
    a cancellation that comes in the same turn of the loop: a task that is to end goes on for ever.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send within the time limit of the connection; raises `redis.TimeoutError`."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]  # redis-py leaves it so
        limit_s, self.socket_timeout = self.socket_timeout, None  # without one it does not wait that way
        try:
            async with asyncio.timeout(limit_s):
                await super().send_packed_command(command, check_health=False)
        except TimeoutError:
            raise redis.TimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = limit_s


class _Packing(_Cancellable):
    """Packs commands in C, as redis-py does without asyncio: a page of alerts asks for 20 keys."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pack = HiredisRespSerializer().pack

    def pack_command(self, *args: Any) -> list[bytes]:
        """The bytes of a command; raises `redis.DataError` for what cannot be sent."""
        packed: list[bytes] = self._pack(*args)
        return packed

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """The bytes of some, in one piece."""
        packed: list[bytes] = []
        for command in commands:
            name, *_ = args = tuple(command)  # of bytes alone, as `SharedPipeline` has it, or of anything
            packed += [hiredis.pack_command(args)] if type(name) is bytes else self._pack(*args)
        return [b"".join(packed)]


class _PackingConnection(_Packing, redis.Connection):
    """The same without TLS."""


class _PackingTlsConnection(_Packing, redis.SSLConnection):
    """The same with TLS."""


class _Translating(_Cancellable):
    """A connection whose every failure is a `ConnectionError`, so that callers try again."""

    async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        """Send; uvloop has a `RuntimeError` for a transport that a dying server closed just now."""
        try:
            await super().send_packed_command(*args, **kwargs)
        except RuntimeError as exc:
            raise redis.ConnectionError(f"the connection was closed: {exc}") from exc


class _TranslatingConnection(_Translating, redis.Connection):
    """The same without TLS."""


class _TranslatingTlsConnection(_Translating, redis.SSLConnection):
    """The same with TLS."""
