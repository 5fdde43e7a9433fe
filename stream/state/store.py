"""The state store of the stream: the protocol, and Redis behind it."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from importlib.resources import files
from itertools import count
from typing import Any, Protocol, TypeVar

import msgpack
import redis.asyncio as redis
from redis.exceptions import BusyLoadingError, ConnectionError, NoScriptError, ReadOnlyError, TimeoutError

from contracts.keys import Keys
from contracts.visitor import PackVisitors, Visitor, pack_visitors, unpack_visitor
from models.next_action.prices import PriceLevel
from stream.runtime.metrics import Meter
from stream.state.commit import NO_OFFSET, Claim, Commit, CommitStatus, Retention, encode_commit

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
SCAN_PAGE = 2_000
RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)

_CLAIM = """
local stored = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0')
local epoch = math.max(stored, tonumber(ARGV[1])) + 1
redis.call('HSET', KEYS[1], 'epoch', epoch)
return {redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[3])}
"""


class OutboxItem:
    """One thing to publish: `item_id` is the same for every copy of it."""

    __slots__ = ("entry_id", "item_id", "key", "topic", "value")

    def __init__(self, entry_id: str, topic: str, key: bytes | None, item_id: str, value: bytes) -> None:
        self.entry_id = entry_id
        self.topic = topic
        self.key = key
        self.item_id = item_id
        self.value = value


Pages = Mapping[int, Sequence[OutboxItem]]
"""Part of each partition's outbox, in order."""


class Store(Protocol):
    """Where the state of partitions lives. Any call may raise `ConnectionError` and may be made again."""

    async def claim(self, floors: Mapping[int, int]) -> dict[int, Claim]:
        """Take over partitions: raise each epoch above the stored one and above its floor."""
        ...

    async def load(self, wanted: Mapping[int, Sequence[str]]) -> dict[int, list[Visitor | None]]:
        """States of visitors per partition, in the order asked; None for one that is not known."""
        ...

    async def names(self, wanted: Mapping[int, Collection[str]]) -> dict[int, dict[str, str]]:
        """Ids of the visitors with these digests who are about to be deleted, as far as they are known."""
        ...

    async def visitor_ids(self, p: int) -> list[str]:
        """All visitors a partition has a state of."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        """Write each commit atomically, or refuse it."""
        ...

    async def due(self, partitions: Sequence[int], limit: int) -> dict[int, list[tuple[str, int]]]:
        """Per partition, the visitors with the earliest deadlines (ms), earliest first, at most `limit`."""
        ...

    async def read_outboxes(self, partitions: Collection[int], limit: int) -> Pages:
        """The oldest things to publish of each partition that has any, in commit order."""
        ...

    async def clear_outboxes(self, pages: Pages) -> None:
        """Forget things that were published."""
        ...

    async def append_alerts(self, pages: Pages) -> set[int]:
        """Append steps of alerts, oldest first, to the stream that readers follow; each id is there once.

        They must be of the page of the outbox that was read last. Returns the partitions of which nothing was
        appended: another worker has read that outbox since, or Redis lost data and may have it no more.
        """
        ...


class RedisStore:
    """`Store` in Redis: one script per commit, all partitions of a round in one pipeline."""

    def __init__(
        self, client: redis.Redis, keys: Keys, retention: Retention, pack: PackVisitors = pack_visitors
    ) -> None:
        self._pack_visitors = pack
        self._client = client
        self._keys = keys
        self._retention = retention
        self._commit = client.register_script(files("stream.state").joinpath("commit.lua").read_text())
        self._append_alerts = client.register_script(
            files("stream.state").joinpath("publish_alerts.lua").read_text()
        )
        self._claim = client.register_script(_CLAIM)
        self._pages: dict[int, str] = {}
        """Tokens of the pages read last: Redis has them too, unless it lost data or another worker reads."""
        self._pack = msgpack.Packer(use_bin_type=False).pack  # Redis' cmsgpack has no bin type

    async def claim(self, floors: Mapping[int, int]) -> dict[int, Claim]:
        """See `Store.claim`."""
        claims = {}
        for p, floor in floors.items():
            keys = [self._keys.meta(p), self._keys.due(p), self._keys.forgotten(p)]
            meta, next_due, forgotten = await self._claim(keys=keys, args=[floor])
            fields = dict(zip(meta[::2], meta[1::2], strict=True))
            claims[p] = Claim(
                epoch=int(fields[b"epoch"]),
                offsets={
                    name[4:].decode(): int(value)
                    for name, value in fields.items()
                    if name.startswith(b"off:")
                },
                max_event_ms=int(fields.get(b"max_event_ms", 0)),
                broker_ms=int(fields.get(b"broker_ms", 0)),
                next_due_ms=int(float(next_due[1])) if next_due else None,
                level=PriceLevel(
                    float(fields.get(b"price_mean_log", 0)), float(fields.get(b"price_weight", 0))
                ),
                forgotten={
                    digest.decode(): int(cut_ms)
                    for digest, cut_ms in zip(forgotten[::2], forgotten[1::2], strict=True)
                },
            )
        return claims

    async def load(self, wanted: Mapping[int, Sequence[str]]) -> dict[int, list[Visitor | None]]:
        """See `Store.load`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p, users in wanted.items():
                prefix = self._keys.prefix(p) + "v:"
                pipe.mget([prefix + user for user in users])
            rows = await pipe.execute()
        return {
            p: [None if blob is None else unpack_visitor(blob) for blob in blobs]
            for p, blobs in zip(wanted, rows, strict=True)
        }

    async def names(self, wanted: Mapping[int, Collection[str]]) -> dict[int, dict[str, str]]:
        """See `Store.names`."""
        asked = {p: list(digests) for p, digests in wanted.items() if digests}
        async with self._client.pipeline(transaction=False) as pipe:
            for p, digests in asked.items():
                pipe.hmget(self._keys.forgetting(p), digests)
            rows = await pipe.execute() if asked else []
        found: dict[int, dict[str, str]] = {p: {} for p in wanted}
        for (p, digests), users in zip(asked.items(), rows, strict=True):
            pairs = zip(digests, users, strict=True)
            found[p] = {digest: user.decode() for digest, user in pairs if user is not None}
        return found

    async def visitor_ids(self, p: int) -> list[str]:
        """See `Store.visitor_ids`."""
        start = self._keys.visitor_in(p, "")
        pages = self._client.scan_iter(match=f"{start}*", count=SCAN_PAGE)
        return [key.decode().removeprefix(start) async for key in pages]

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        """See `Store.commit`."""
        blobs = [self._pack(self._encode(commit)) for commit in commits]
        try:
            rows = await self._send(commits, blobs)
        except NoScriptError:  # Redis was restarted and forgot its scripts
            await self._client.script_load(self._commit.script)
            rows = await self._send(commits, blobs)
        return [CommitStatus(row[0].decode()) for row in rows]

    def _encode(self, commit: Commit) -> dict[str, Any]:
        return encode_commit(commit, self._retention, self._pack_visitors)

    async def _send(self, commits: Sequence[Commit], blobs: Sequence[bytes]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for commit, blob in zip(commits, blobs, strict=True):
                p = commit.partition
                pipe.evalsha(self._commit.sha, 1, self._keys.meta(p), self._keys.prefix(p), blob)
            rows: list[Any] = await pipe.execute()
        return rows

    async def due(self, partitions: Sequence[int], limit: int) -> dict[int, list[tuple[str, int]]]:
        """See `Store.due`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p in partitions:
                pipe.zrange(self._keys.due(p), 0, limit - 1, withscores=True)
            rows = await pipe.execute()
        return {
            p: [(user.decode(), int(score)) for user, score in row]
            for p, row in zip(partitions, rows, strict=True)
        }

    async def read_outboxes(self, partitions: Collection[int], limit: int) -> Pages:
        """See `Store.read_outboxes`."""
        token = uuid.uuid4().hex
        self._pages.update(dict.fromkeys(partitions, token))
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._keys.alert_pages(), mapping={str(p): token for p in partitions})
            for p in partitions:
                pipe.xrange(self._keys.outbox(p), count=limit)
            _, *pages = await pipe.execute()
        return {p: [_item(*row) for row in rows] for p, rows in zip(partitions, pages, strict=True) if rows}

    async def clear_outboxes(self, pages: Pages) -> None:
        """See `Store.clear_outboxes`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p, items in pages.items():
                pipe.xdel(self._keys.outbox(p), *[item.entry_id for item in items])
            await pipe.execute()

    async def append_alerts(self, pages: Pages) -> set[int]:
        """See `Store.append_alerts`."""
        keys = [self._keys.alerts(), self._keys.alert_places(), self._keys.alert_pages()]
        async with self._client.pipeline(transaction=False) as pipe:
            for p, items in pages.items():
                fields = [x for item in items for x in (item.item_id, item.value)]
                args = [self._retention.alerts, p, self._pages.get(p, ""), *fields]
                await self._append_alerts(keys=keys, args=args, client=pipe)
            appended = await pipe.execute()
        return {p for p, number in zip(pages, appended, strict=True) if number < 0}


def _item(entry_id: bytes, fields: dict[bytes, bytes]) -> OutboxItem:
    topic, item_id = fields[b"topic"].decode(), fields[b"id"].decode()
    return OutboxItem(entry_id.decode(), topic, fields[b"key"] or None, item_id, fields[b"value"])


async def retry(meter: Meter, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call to the store until it is answered; the watchdog ends a worker that waits too long."""
    for attempt in count():
        try:
            return await call()
        except (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OSError) as exc:
            meter.store_errors.inc()
            if attempt == 0:
                log.warning("the state store does not answer, trying again: %s", exc)
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
    raise AssertionError("count() does not end")


def stored_offset(claim: Claim, topic: str) -> int:
    """The next offset of a topic a claim found, `NO_OFFSET` for none."""
    return claim.offsets.get(topic, NO_OFFSET)
