"""The keys as one process knows them, at most two seconds old, so that a request need not ask Redis."""

import asyncio
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus

from redis.exceptions import RedisError

from api.http.errors import Problem
from api.identity.key_record import KeyRecord
from api.identity.key_store import KeyStore
from connections.redis_troubles import redis_trouble

MAX_AGE_S = 1.0
"""Older knowledge is renewed before it is used; a change is known everywhere after this and a moment."""
GRACE_S = 60.0
"""What is known may be used for so long while Redis is away; then nobody is let in."""
_LOAD_TIMEOUT_S = 2.0
_RETRY_AFTER_S = 1.0
_RENEW_EVERY_S = 0.2
"""Most often that a key which is not known makes us look again: others may try many."""
_USE_EVERY_MS = 60_000

_log = logging.getLogger(__name__)


class KeyCache:
    """A copy of the key store that renews itself when it is asked."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._records: Mapping[str, KeyRecord] = {}
        self._by_origin: Mapping[str, list[KeyRecord]] = {}
        self._version = -1
        self._loaded_s = float("-inf")
        self._tried_s = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self._noted_ms: dict[str, int] = {}
        self._notes: set[asyncio.Task[None]] = set()

    @property
    def has_keys(self) -> bool:
        """Whether a key was ever made, as far as we know."""
        return bool(self._records)

    async def read(self) -> Mapping[str, KeyRecord]:
        """Every key ever made, by its id; raises `Problem` 503 if Redis is away longer than `GRACE_S`."""
        if time.monotonic() - self._loaded_s > MAX_AGE_S:
            await self._renew(MAX_AGE_S)
            if time.monotonic() - self._loaded_s > GRACE_S:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "keys.unavailable",
                    "the store of the keys does not answer, so nobody can be let in; try again",
                    headers={"Retry-After": "1"},
                )
        return self._records

    async def read_again(self) -> Mapping[str, KeyRecord]:
        """The same, looked up again unless that was done a moment ago: a key may be newer than our copy."""
        await self._renew(_RENEW_EVERY_S)
        return await self.read()

    async def welcomes(self, origin: str, now_ms: int) -> bool:
        """Whether an active publishable key lists the origin. By what was known last while Redis is away."""
        if time.monotonic() - self._loaded_s > MAX_AGE_S:
            await self._renew(MAX_AGE_S)
        return any(record.state(now_ms) == "active" for record in self._by_origin.get(origin, ()))

    def note_use(self, key_id: str, now_ms: int) -> None:
        """Writes down, at most once a minute and beside the request, that a key was used."""
        if now_ms - self._noted_ms.get(key_id, 0) >= _USE_EVERY_MS:
            self._noted_ms[key_id] = now_ms
            task = asyncio.create_task(self._write_use(key_id, now_ms))
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._notes:
            await asyncio.wait(self._notes)
        if self._loading is not None:
            await asyncio.wait([self._loading])

    async def _renew(self, min_age_s: float) -> None:
        # A Redis that hangs must not hold up every request: between two tries the old copy is used.
        wait_s = min_age_s if self._tried_s <= self._loaded_s else max(min_age_s, _RETRY_AFTER_S)
        if self._loading is None:
            if time.monotonic() - max(self._tried_s, self._loaded_s) < wait_s:
                return
            self._tried_s = time.monotonic()
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._loaded)
        await asyncio.shield(self._loading)  # all who ask meanwhile wait for one answer

    def _loaded(self, _: asyncio.Task[None]) -> None:
        self._loading = None

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT_S):
                version = await self._store.version()  # before the records: a change between loads them again
                if version != self._version or self._version < 0:
                    self._take(await self._store.load())
                    self._version = version
            self._loaded_s = self._tried_s
        except (RedisError, TimeoutError, OSError) as exc:
            _log.warning("cannot refresh the keys: %s", redis_trouble(exc))

    def _take(self, records: Mapping[str, KeyRecord]) -> None:
        by_origin: dict[str, list[KeyRecord]] = {}
        for record in records.values():
            for origin in record.origins:
                by_origin.setdefault(origin, []).append(record)
        self._records, self._by_origin = records, by_origin

    async def _write_use(self, key_id: str, now_ms: int) -> None:
        try:
            await self._store.note_use(key_id, now_ms)
        except RedisError as exc:
            _log.warning("cannot record the last use of key %s: %s", key_id, redis_trouble(exc))
