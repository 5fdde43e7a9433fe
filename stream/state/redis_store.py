"""`Store` in Redis: one script per commit, all partitions of a round in one pipeline."""

import logging
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal

import msgpack
import redis.asyncio as redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from connections.redis_troubles import is_code, redis_trouble
from connections.troubles import ConnectionRefused
from contracts.key_families import META, QUARANTINE_TTL_S
from contracts.keys import Keys
from contracts.numbers import MAX_SUM_MINOR
from stream.state.commit import (
    Claim,
    ClaimRead,
    Commit,
    CommitStatus,
    Conflict,
    WrongType,
    encode_commit,
    make_claim,
)

log = logging.getLogger(__name__)

SCAN_PAGE = 2_000

_HELD = {"hash": "hash", "lowest": "zset", "highest": "zset", "size": "zset", "blob": "string"}
"""The type of a key that is read with a claim."""

_CLAIM = """
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
if not stored then return {redis.call('HGETALL', KEYS[1])} end
redis.call('HSET', KEYS[1], 'epoch', math.max(stored, tonumber(ARGV[1])) + 1)
local found = {redis.call('HGETALL', KEYS[1])}
for i = 2, #KEYS do
  if ARGV[i] == 'hash' then found[i] = redis.call('HGETALL', KEYS[i])
  elseif ARGV[i] == 'lowest' then found[i] = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  elseif ARGV[i] == 'highest' then found[i] = redis.call('ZRANGE', KEYS[i], -1, -1, 'WITHSCORES')
  elseif ARGV[i] == 'size' then found[i] = redis.call('ZCARD', KEYS[i])
  else found[i] = redis.call('GET', KEYS[i]) end
end
return found
"""


class RedisStore:
    """`Store` in Redis."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._commit = client.register_script(files("stream.state").joinpath("commit.lua").read_text())
        self._claim = client.register_script(_CLAIM)
        self._set_aside = client.register_script(files("stream.state").joinpath("set_aside.lua").read_text())
        self._pack = msgpack.Packer(use_bin_type=False).pack  # Redis' cmsgpack has no bin type

    async def require_rights(self) -> None:
        """Raises `ConnectionRefused` if Redis lets us do less than commits need, or nothing at all."""
        prefix = self._keys.prefix(0)
        rights = files("stream.state").joinpath("rights.lua").read_text()
        try:
            await self._client.eval(rights, 1, f"{prefix}probe", f"{prefix}probe:other")
        except (RedisError, OSError) as exc:
            trouble = redis_trouble(exc)
            if trouble.is_refusal:
                raise ConnectionRefused(trouble) from exc

    async def claim(self, floors: Mapping[int, int], reads: Sequence[ClaimRead] = ()) -> dict[int, Claim]:
        """See `Store.claim`."""
        claims = {}
        for p, floor in floors.items():
            prefix = self._keys.prefix(p)
            keys = [prefix + META, *[prefix + read.key for read in reads]]
            try:
                rows = await self._claim(keys=keys, args=[floor, *[read.holds for read in reads]])
                found = {read.key: _found(read, row) for read, row in zip(reads, rows[1:], strict=True)}
                claims[p] = make_claim(_texts(rows[0]), found)
            except ResponseError as exc:
                if not is_code(exc, "WRONGTYPE"):
                    raise
                wanted = ["hash", *[_HELD[read.holds] for read in reads]]
                reason = await self._name_foreign(dict(zip(keys, wanted, strict=True)))
                raise Conflict(reason, {p: reason}) from None
            except ValueError:  # of a number or a text in the hash
                reason = f"{prefix}{META} has a field that is not as we write it"
                raise Conflict(reason, {p: reason}) from None
        return claims

    async def read_blobs(
        self, wanted: Mapping[int, Sequence[str]]
    ) -> dict[int, list[bytes | WrongType | None]]:
        """See `Store.read_blobs`."""
        asked = {
            p: [(self._keys.prefix(p) + name).encode() for name in names]
            for p, names in wanted.items()
            if names
        }
        async with self._client.pipeline(transaction=False) as pipe:
            for keys in asked.values():
                pipe.mget(keys)
                pipe.exists(*keys)  # MGET says nothing of keys that hold another type
            replies = _checked(await pipe.execute(raise_on_error=False)) if asked else []
        found: dict[int, list[bytes | WrongType | None]] = {p: [] for p in wanted}
        for (p, keys), row, n_there in zip(asked.items(), replies[::2], replies[1::2], strict=True):
            found[p] = row
            if n_there > sum([blob is not None for blob in row]):
                found[p] = await self._mark_foreign(keys, row)
        return found

    async def set_aside(self, p: int, name: str, found: bytes | WrongType) -> bool:
        """See `Store.set_aside`."""
        blob = found if isinstance(found, bytes) else b""
        moved = await self._set_aside(
            keys=[self._keys.prefix(p) + name, self._keys.quarantine(p, name), self._keys.meta(p)],
            args=[blob, QUARANTINE_TTL_S, int(isinstance(found, bytes))],
        )
        return bool(moved)

    async def read_fields(
        self, wanted: Mapping[int, tuple[str, Collection[str]]]
    ) -> dict[int, dict[str, str]]:
        """See `Store.read_fields`."""
        asked = {p: (key, list(names)) for p, (key, names) in wanted.items() if names}
        async with self._client.pipeline(transaction=False) as pipe:
            for p, (key, names) in asked.items():
                pipe.hmget(self._keys.prefix(p) + key, names)
            rows = await pipe.execute(raise_on_error=False) if asked else []
        await self._refuse_foreign({p: key for p, (key, _) in asked.items()}, rows, "hash")
        found: dict[int, dict[str, str]] = {p: {} for p in wanted}
        for (p, (_, names)), values in zip(asked.items(), rows, strict=True):
            pairs = zip(names, values, strict=True)
            found[p] = {name: value.decode(errors="replace") for name, value in pairs if value is not None}
        return found

    async def read_hash(self, p: int, key: str) -> dict[str, str]:
        """See `Store.read_hash`."""
        name = self._keys.prefix(p) + key
        try:
            fields: Any = await self._client.hgetall(name)
        except ResponseError as exc:
            if not is_code(exc, "WRONGTYPE"):
                raise
            reason = await self._name_foreign({name: "hash"})
            raise Conflict(reason, {p: reason}) from None
        texts = [text.decode(errors="replace") for item in fields.items() for text in item]
        return dict(zip(texts[::2], texts[1::2], strict=True))

    async def keys_from(self, p: int, start: str) -> list[str]:
        """See `Store.keys_from`."""
        begin = self._keys.prefix(p) + start
        pages = self._client.scan_iter(match=f"{begin}*", count=SCAN_PAGE)
        return [key.decode().removeprefix(begin) async for key in pages]

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        """See `Store.commit`."""
        blobs = [self._pack(encode_commit(commit)) for commit in commits]
        try:
            rows = await self._send(commits, blobs)
        except NoScriptError:  # Redis was restarted and forgot its scripts
            await self._client.script_load(self._commit.script)
            rows = await self._send(commits, blobs)
        statuses: list[CommitStatus] = []
        reasons: dict[int, str] = {}
        for commit, row in zip(commits, rows, strict=True):
            if isinstance(row, Exception):
                statuses.append(CommitStatus.CONFLICT)
                reasons[commit.partition] = await self._reason_of(commit.partition, row)
                continue
            statuses.append(CommitStatus(row[0].decode()))
            if statuses[-1] is CommitStatus.CONFLICT:
                reasons[commit.partition] = row[2].decode(errors="replace")
        if reasons:
            raise Conflict("; ".join(reasons.values()), reasons, statuses)
        return statuses

    async def _reason_of(self, p: int, exc: Exception) -> str:
        """Why a commit was refused: the meta hash is of another type, or what nobody thought of."""
        if is_code(exc, "WRONGTYPE"):  # what else may be is looked at by the script
            return await self._name_foreign({self._keys.meta(p): "hash"})
        return redis_trouble(exc).found

    async def _send(self, commits: Sequence[Commit], blobs: Sequence[bytes]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for commit, blob in zip(commits, blobs, strict=True):
                prefix = self._keys.prefix(commit.partition)
                pipe.evalsha(self._commit.sha, 1, prefix + META, prefix, blob)
            rows: list[Any] = await pipe.execute(raise_on_error=False)
        _checked([row for row in rows if not isinstance(row, Exception) or not _is_of_one(row)])
        return rows

    async def lowest(
        self, key: str, partitions: Sequence[int], limit: int
    ) -> dict[int, list[tuple[str, int]]]:
        """See `Store.lowest`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p in partitions:
                pipe.zrange(self._keys.prefix(p) + key, 0, limit - 1, withscores=True)
            rows = await pipe.execute(raise_on_error=False)
        await self._refuse_foreign(dict.fromkeys(partitions, key), rows, "zset")
        found: dict[int, list[tuple[str, int]]] = {}
        for p, row in zip(partitions, rows, strict=True):
            try:
                found[p] = [(member.decode(), int(score)) for member, score in row]
            except (ValueError, OverflowError):
                found[p] = await self._drop_foreign_members(self._keys.prefix(p) + key, row)
        return found

    # -- what others wrote -----------------------------------------------------------------------------

    async def _mark_foreign(
        self, keys: Sequence[bytes], row: Sequence[bytes | None]
    ) -> list[bytes | WrongType | None]:
        """The blobs, with what other type there is in place of those that are missing."""
        async with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.type(key)
            types = await pipe.execute()
        return [
            WrongType(kind.decode()) if blob is None and kind not in (b"none", b"string") else blob
            for blob, kind in zip(row, types, strict=True)
        ]

    async def _refuse_foreign(self, names: Mapping[int, str], rows: Sequence[Any], wanted: str) -> None:
        """Raises `Conflict` for answers that say WRONGTYPE, and other errors as they are."""
        _checked(rows, but="WRONGTYPE")
        reasons = {
            p: await self._name_foreign({self._keys.prefix(p) + name: wanted})
            for (p, name), row in zip(names.items(), rows, strict=True)
            if isinstance(row, Exception)
        }
        if reasons:
            raise Conflict("; ".join(reasons.values()), reasons)

    async def _name_foreign(self, wanted: Mapping[str, str]) -> str:
        """Which of these keys holds another type than it should."""
        async with self._client.pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.type(key)
            types = [kind.decode() for kind in await pipe.execute()]
        for (key, kind), found in zip(wanted.items(), types, strict=True):
            if found not in (kind, "none"):
                return f"{key} is a {found}, not a {kind}"
        return f"one of {', '.join(wanted)} had the wrong type"

    async def _drop_foreign_members(
        self, key: str, row: Sequence[tuple[bytes, float]]
    ) -> list[tuple[str, int]]:
        """The members that may be of ours; the others, which name nobody, are removed."""
        kept: list[tuple[str, int]] = []
        for member, score in row:
            try:
                kept.append((member.decode(), int(score)))
            except (ValueError, OverflowError):
                log.warning("removed an unknown member of %s", key)
                await self._client.zrem(key, member)
        return kept


def _is_of_one(exc: Exception) -> bool:
    """Whether a refusal is about what one partition holds; others are about Redis as a whole."""
    return is_code(exc, "WRONGTYPE") or (
        isinstance(exc, ResponseError)
        and not isinstance(exc, NoScriptError)
        and redis_trouble(exc).code == "error"
    )


def _found(read: ClaimRead, row: Any) -> Any:
    if read.holds == "hash":  # whatever it has, its component can tell
        return _texts(row, errors="replace")
    if read.holds in ("lowest", "highest"):
        return _score_ms(row[1]) if row else None
    return row


def _score_ms(score: bytes) -> int:
    """The time that a score is; that of one without end, which is none of ours, is the largest or 0."""
    return int(min(max(float(score), 0.0), float(MAX_SUM_MINOR)))


def _texts(flat: Sequence[bytes], errors: str = "strict") -> dict[str, str]:
    """A hash as HGETALL gives it, as text."""
    texts = [each.decode(errors=errors) for each in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _checked(rows: Sequence[Any], but: Literal["WRONGTYPE"] | None = None) -> list[Any]:
    """The answers of a pipeline; raises the first error among them that is not about `but`.

    As it came, without the command: redis-py would put that before it, blobs and all.
    """
    for row in rows:
        if isinstance(row, Exception) and not (but is not None and is_code(row, but)):
            raise row
    return list(rows)
