"""The key of today's pseudonyms: random, shared by all processes of the API, and gone after a day."""

import logging
import secrets
import time
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.keys import Keys

_log = logging.getLogger(__name__)

LIFETIME_S = 86_400
_BYTES = 32
_RETRY_S = 5.0


class Salts:
    """Gives the salt, asking Redis once in its lifetime.

    While Redis is away it is one of this process alone: the same visitor may then have several pseudonyms,
    but never a name.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._key = keys.pseudonym_salt()
        self._salt = b""
        self._expires_s = 0.0
        self._own: tuple[float, bytes] = (0.0, b"")

    async def get(self) -> bytes:
        """The salt of now: 32 bytes."""
        now = time.monotonic()
        if now >= self._expires_s:
            try:
                self._salt, ttl_s = await self._fetch()
            except RedisError as exc:
                _log.warning("Redis does not answer, so this process uses pseudonyms of its own: %s", exc)
                self._salt, ttl_s = self._make_own(now), _RETRY_S
            self._expires_s = now + ttl_s
        return self._salt

    def _make_own(self, now: float) -> bytes:
        made_s, salt = self._own
        if not salt or now - made_s >= LIFETIME_S:
            self._own = (now, secrets.token_bytes(_BYTES))
        return self._own[1]

    async def _fetch(self) -> tuple[bytes, float]:
        pipe = self._redis.pipeline(transaction=True)
        pipe.set(self._key, secrets.token_bytes(_BYTES), ex=LIFETIME_S, nx=True)
        pipe.get(self._key)
        pipe.pttl(self._key)
        _, salt, ttl_ms = await pipe.execute()
        return _checked(salt), max(0.0, ttl_ms / 1_000)


def _checked(salt: Any) -> bytes:
    if type(salt) is not bytes or len(salt) != _BYTES:
        raise RedisError("the stored salt is invalid")
    return salt
