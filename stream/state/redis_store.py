"""`Store` in Redis: one script per commit, all partitions of a round in one pipeline."""

from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgpack
import redis.asyncio as redis
from redis.exceptions import NoScriptError

from contracts.keys import META, Keys
from stream.state.commit import Claim, ClaimRead, Commit, CommitStatus, Conflict, encode_commit, make_claim

SCAN_PAGE = 2_000

_CLAIM = """
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
redis.call('HSET', KEYS[1], 'epoch', math.max(stored, tonumber(ARGV[1])) + 1)
local found = {redis.call('HGETALL', KEYS[1])}
for i = 2, #KEYS do
  if ARGV[i] == 'hash' then found[i] = redis.call('HGETALL', KEYS[i])
  elseif ARGV[i] == 'lowest' then found[i] = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
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
        self._pack = msgpack.Packer(use_bin_type=False).pack  # Redis' cmsgpack has no bin type

    async def claim(self, floors: Mapping[int, int], reads: Sequence[ClaimRead] = ()) -> dict[int, Claim]:
        """See `Store.claim`."""
        claims = {}
        for p, floor in floors.items():
            prefix = self._keys.prefix(p)
            keys = [prefix + META, *[prefix + read.key for read in reads]]
            rows = await self._claim(keys=keys, args=[floor, *[read.holds for read in reads]])
            found = {read.key: _found(read, row) for read, row in zip(reads, rows[1:], strict=True)}
            claims[p] = make_claim(_texts(rows[0]), found)
        return claims

    async def read_blobs(self, wanted: Mapping[int, Sequence[str]]) -> dict[int, list[bytes | None]]:
        """See `Store.read_blobs`."""
        asked = {p: names for p, names in wanted.items() if names}
        async with self._client.pipeline(transaction=False) as pipe:
            for p, names in asked.items():
                prefix = self._keys.prefix(p)
                pipe.mget([prefix + name for name in names])
            rows = await pipe.execute() if asked else []
        found: dict[int, list[bytes | None]] = {p: [] for p in wanted}
        return found | dict(zip(asked, rows, strict=True))

    async def read_fields(
        self, wanted: Mapping[int, tuple[str, Collection[str]]]
    ) -> dict[int, dict[str, str]]:
        """See `Store.read_fields`."""
        asked = {p: (key, list(names)) for p, (key, names) in wanted.items() if names}
        async with self._client.pipeline(transaction=False) as pipe:
            for p, (key, names) in asked.items():
                pipe.hmget(self._keys.prefix(p) + key, names)
            rows = await pipe.execute() if asked else []
        found: dict[int, dict[str, str]] = {p: {} for p in wanted}
        for (p, (_, names)), values in zip(asked.items(), rows, strict=True):
            pairs = zip(names, values, strict=True)
            found[p] = {name: value.decode() for name, value in pairs if value is not None}
        return found

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
        statuses = [CommitStatus(row[0].decode()) for row in rows]
        for row, status in zip(rows, statuses, strict=True):
            if status is CommitStatus.CONFLICT:
                raise Conflict(row[2].decode(errors="replace"))
        return statuses

    async def _send(self, commits: Sequence[Commit], blobs: Sequence[bytes]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for commit, blob in zip(commits, blobs, strict=True):
                prefix = self._keys.prefix(commit.partition)
                pipe.evalsha(self._commit.sha, 1, prefix + META, prefix, blob)
            rows: list[Any] = await pipe.execute()
        return rows

    async def lowest(
        self, key: str, partitions: Sequence[int], limit: int
    ) -> dict[int, list[tuple[str, int]]]:
        """See `Store.lowest`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p in partitions:
                pipe.zrange(self._keys.prefix(p) + key, 0, limit - 1, withscores=True)
            rows = await pipe.execute()
        return {
            p: [(member.decode(), int(score)) for member, score in row]
            for p, row in zip(partitions, rows, strict=True)
        }


def _found(read: ClaimRead, row: Any) -> Any:
    if read.holds == "hash":
        return _texts(row)
    if read.holds == "lowest":
        return int(float(row[1])) if row else None
    return row


def _texts(flat: Sequence[bytes]) -> dict[str, str]:
    """A hash as HGETALL gives it, as text."""
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
