"""API keys in Redis: made, listed, rotated, revoked."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from api.identity.key_record import KeyRecord, decode_record, encode_record, unreadable_record
from api.identity.key_text import KeyKind, KeyText, digest, make_key, make_secret
from api.identity.principal import Scope
from contracts.keys import Keys
from readers.unreadable import UNREADABLE

MAX_NAME_CHARS = 128
_SCOPES_OF_KIND = {
    KeyKind.PUBLISHABLE: frozenset((Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ)),
    KeyKind.APP: frozenset((Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ)),
    KeyKind.WRITE: frozenset((Scope.EVENTS_WRITE,)),
}
"""What keys may do that others may come to read; all of them send events."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key to be made; a limit of None is the one of the settings. `origins` are normalised."""

    name: str
    kind: KeyKind = KeyKind.SECRET
    scopes: tuple[Scope, ...] = (Scope.EVENTS_WRITE,)
    origins: tuple[str, ...] = ()
    may_purchase: bool = True
    expires_ms: int | None = None
    requests_per_s: int | None = None
    events_per_minute: int | None = None
    events_per_day: int | None = None

    def check(self) -> None:
        """Raises `ValueError` for a key that could do nothing, or more than its kind may."""
        if not (self.name.strip() and self.name.isprintable() and len(self.name) <= MAX_NAME_CHARS):
            raise ValueError(f"a name has 1 to {MAX_NAME_CHARS} characters, all printable")
        if not self.scopes:
            raise ValueError("a key needs at least one scope")
        is_publishable = self.kind is KeyKind.PUBLISHABLE
        if self.origins and not is_publishable:
            raise ValueError("only publishable keys can be bound to origins")
        may = _SCOPES_OF_KIND.get(self.kind)
        if may is not None and not {Scope.EVENTS_WRITE} <= set(self.scopes) <= may:
            only = " and ".join(sorted(may))
            raise ValueError(f"a key of the kind {self.kind} can only have the scope {only}")
        if is_publishable and not self.origins:
            raise ValueError("a publishable key needs the origins of the pages that use it")


class UnknownKey(LookupError):  # names what is wrong with the id
    """No key has this id."""


class KeyStore:
    """The keys of one installation. Every method raises `redis.RedisError` if Redis is away."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def create(self, plan: KeyPlan, now_ms: int) -> tuple[KeyText, KeyRecord]:
        """The new key, which nobody can tell again, and what is kept; raises `ValueError` for a bad plan."""
        plan.check()
        key = make_key(plan.kind)
        record = KeyRecord(
            key_id=key.key_id,
            name=plan.name,
            kind=plan.kind,
            scopes=plan.scopes,
            origins=plan.origins,
            may_purchase=plan.may_purchase,
            digest=digest(key.secret),
            created_ms=now_ms,
            expires_ms=plan.expires_ms,
            requests_per_s=plan.requests_per_s,
            events_per_minute=plan.events_per_minute,
            events_per_day=plan.events_per_day,
        )
        pipe = self._redis.pipeline(transaction=True)
        self._write(pipe, record)
        await pipe.execute()
        return key, record

    async def rotate(self, key_id: str, now_ms: int, overlap_ms: int) -> tuple[KeyText, KeyRecord]:
        """The key with a new secret; raises `UnknownKey`, or `ValueError` if it is not active."""
        secret = make_secret()

        def change(record: KeyRecord) -> KeyRecord:
            if record.state(now_ms) != "active":
                raise ValueError(f"the key is {record.state(now_ms)}: make another one")
            return record.rotated(digest(secret), now_ms=now_ms, overlap_ms=overlap_ms)

        record = await self._change(key_id, change)
        return KeyText(record.kind, key_id, secret), record

    async def revoke(self, key_id: str, now_ms: int) -> KeyRecord:
        """The key, which lets nobody in from now on; raises `UnknownKey`. Doing it twice changes nothing."""

        def change(record: KeyRecord) -> KeyRecord:
            return record if record.revoked_ms is not None else replace(record, revoked_ms=now_ms)

        return await self._change(key_id, change)

    async def remove_all(self) -> int:
        """Forgets every key, as if none had ever been made; how many there were."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hlen(self._keys.api_keys())
        pipe.unlink(self._keys.api_keys(), self._keys.api_key_uses())
        pipe.incr(self._keys.api_keys_version())
        n_keys, *_ = await pipe.execute()
        return int(n_keys)

    async def load(self) -> dict[str, KeyRecord]:
        """Every key ever made, by its id."""
        blobs: Any = await self._redis.hgetall(self._keys.api_keys())
        return {key_id: _readable(key_id, blob) for key_id, blob in _texts(blobs)}

    async def version(self) -> int:
        """Raised by every change, so that a reader need not load what it has."""
        version: Any = await self._redis.get(self._keys.api_keys_version())
        return int(version or 0)

    async def note_use(self, key_id: str, now_ms: int) -> None:
        """Remembers when a key was used last."""
        await self._redis.hset(self._keys.api_key_uses(), key_id, now_ms)

    async def load_uses(self) -> dict[str, int]:
        """Epoch ms of the last use, by id of the key; keys never used are not in it."""
        uses: Any = await self._redis.hgetall(self._keys.api_key_uses())
        return {key_id: int(at_ms) for key_id, at_ms in _texts(uses) if at_ms.isdigit()}

    async def _change(self, key_id: str, change: Callable[[KeyRecord], KeyRecord]) -> KeyRecord:
        table = self._keys.api_keys()
        while True:
            async with self._redis.pipeline(transaction=True) as pipe:
                await pipe.watch(table)
                blob: Any = await pipe.hget(table, key_id)
                if blob is None:
                    raise UnknownKey(f"no key has the id {key_id!r}; `storepulse keys list` shows them")
                record = change(_readable(key_id, blob))
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
                self._write(pipe, record)
                try:
                    await pipe.execute()
                except WatchError:  # another change came between: look again
                    continue
                return record

    def _write(self, pipe: Pipeline, record: KeyRecord) -> None:
        pipe.hset(self._keys.api_keys(), record.key_id, encode_record(record))
        pipe.incr(self._keys.api_keys_version())


def _texts(found: Mapping[bytes, bytes]) -> Iterator[tuple[str, bytes]]:
    """Names and values of a hash; a name that is no text may be shown, and is nobody's."""
    return ((name.decode(errors="replace"), value) for name, value in found.items())


def _readable(key_id: str, blob: bytes) -> KeyRecord:
    """The record in a blob. One that cannot be read lets nobody in, and does not count as if there were none.

    Without any key the API asks nobody for one, which a spoiled record must not bring about.
    """
    try:
        return decode_record(blob)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        UNREADABLE.note("the record of an API key", exc)
        return unreadable_record(key_id)
