"""The registry of endpoints in Redis. Every change is made only to what was read."""

from collections.abc import Callable
from typing import Any, Literal

from delivery.webhooks.endpoints import Endpoint, EndpointState, decode_endpoint, encode_endpoint
from delivery.webhooks.errors import ChangedMeanwhile, TooManyEndpoints, UnknownEndpoint, UnreadableEndpoint
from delivery.webhooks.scripts import endpoint_keys, run_script
from readers.alerts.log import Cursor, read_ends
from readers.reader import Reader
from readers.unreadable import UNREADABLE

_RETRIES = 5
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
_Queue = Literal["keep", "skip", "begin"]


class Registry:
    """The endpoints of one installation. Every method raises `redis.RedisError` if Redis is away."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._redis = reader.redis
        self._key = reader.keys.webhook_endpoints()

    async def read_all(self) -> dict[str, Endpoint]:
        """Every endpoint that we understand by its id, the oldest first."""
        rows: Any = await self._redis.hgetall(self._key)
        found = filter(None, (_decode(endpoint_id, raw) for endpoint_id, raw in rows.items()))
        return {e.endpoint_id: e for e in sorted(found, key=lambda e: (e.created_ms, e.endpoint_id))}

    async def read(self, endpoint_id: str) -> Endpoint:
        """The endpoint; raises `UnknownEndpoint` or `UnreadableEndpoint`."""
        raw: Any = await self._redis.hget(self._key, endpoint_id)
        if raw is None:
            raise UnknownEndpoint
        return _readable(raw)

    async def add(self, endpoint: Endpoint) -> None:
        """A new endpoint, told of what is published from now on; raises `TooManyEndpoints`."""
        if await self._swap(endpoint.endpoint_id, b"", endpoint, "begin", await self._newest()) < 0:
            raise TooManyEndpoints(self._reader.settings.webhook_endpoints_max)

    async def change(self, endpoint_id: str, make: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """The endpoint after `make`, given what is stored.

        Raises `UnknownEndpoint`, `UnreadableEndpoint` or `ChangedMeanwhile`.

        Disabling skips what waits. A disabled one that goes on begins with what is published from then on.
        Another URL is another receiver: the failures of the old one are forgotten.
        """
        newest = await self._newest()
        for _ in range(_RETRIES):
            raw: Any = await self._redis.hget(self._key, endpoint_id)
            if raw is None:
                raise UnknownEndpoint
            old = _readable(raw)
            new = make(old)
            if new == old:
                return old
            if await self._swap(endpoint_id, raw, new, _queue_of(old, new), newest) == 1:
                if new.url != old.url:
                    await self._redis.hdel(self._reader.keys.webhook_progress(endpoint_id), "health")
                return new
        raise ChangedMeanwhile

    async def remove(self, endpoint_id: str) -> None:
        """No more endpoint, and nothing left of its deliveries; raises `UnknownEndpoint`."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hdel(self._key, endpoint_id)
        pipe.delete(*endpoint_keys(self._reader.keys, endpoint_id))
        if not (await pipe.execute())[0]:
            raise UnknownEndpoint

    async def _newest(self) -> Cursor:
        return (await read_ends(self._reader))[1]

    async def _swap(self, endpoint_id: str, raw: bytes, new: Endpoint, queue: _Queue, newest: Cursor) -> int:
        own = endpoint_keys(self._reader.keys, endpoint_id)
        keys = [self._key, own.progress, own.pending, own.waiting, own.log, own.finished]
        most = self._reader.settings.webhook_endpoints_max
        args = [endpoint_id, raw, encode_endpoint(new), most, queue, str(newest)]
        return int(await run_script(self._redis, "change", keys, args))


def _decode(endpoint_id: bytes, raw: bytes) -> Endpoint | None:
    try:
        return decode_endpoint(raw)
    except _UNREADABLE as exc:  # it must not stop the others
        UNREADABLE.note(f"webhook endpoint {endpoint_id.decode(errors='replace')}", exc)
        return None


def _readable(raw: bytes) -> Endpoint:
    try:
        return decode_endpoint(raw)
    except _UNREADABLE as exc:
        raise UnreadableEndpoint from exc


def _queue_of(old: Endpoint, new: Endpoint) -> _Queue:
    if new.state is EndpointState.DISABLED and old.state is not EndpointState.DISABLED:
        return "skip"
    if old.state is EndpointState.DISABLED and new.state is not EndpointState.DISABLED:
        return "begin"
    return "keep"
