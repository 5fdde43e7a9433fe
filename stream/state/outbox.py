"""What commits left to be published: outboxes of partitions, and the log of alerts that readers follow."""

import logging
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any, Protocol

import redis.asyncio as redis

from connections.redis_troubles import is_code
from contracts.key_families import OUTBOX, QUARANTINE_TTL_S
from contracts.keys import Keys

log = logging.getLogger(__name__)

_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
MAX_SET_ASIDE = 1_000
"""Entries of an outbox that are none of ours, kept at most."""


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


class Outboxes(Protocol):
    """The outboxes of all partitions. Any call may raise `ConnectionError` and may be made again."""

    async def read(self, partitions: Collection[int], limit: int) -> Pages:
        """The oldest things to publish of each partition that has any, in commit order."""
        ...

    async def clear(self, pages: Pages) -> None:
        """Forget things that were published."""
        ...

    async def set_aside(self, p: int, items: Sequence[OutboxItem]) -> None:
        """Take things out of a partition's outbox that can never be published, and keep them elsewhere."""
        ...

    async def append_alerts(self, pages: Pages) -> set[int]:
        """Append steps of alerts, oldest first, to the log that readers follow; each id is there once.

        They must be of the page of the outbox that was read last. Returns the partitions of which nothing was
        appended: another worker has read that outbox since, or Redis lost data and may have it no more.
        """
        ...


class RedisOutboxes:
    """`Outboxes` in Redis; the log of alerts keeps about the newest `alerts_kept` steps."""

    def __init__(self, client: redis.Redis, keys: Keys, *, alerts_kept: int) -> None:
        self._client = client
        self._keys = keys
        self._alerts_kept = alerts_kept
        self._append = client.register_script(
            files("stream.state").joinpath("publish_alerts.lua").read_text()
        )
        self._pages: dict[int, str] = {}
        """Tokens of the pages read last: Redis has them too, unless it lost data or another worker reads."""
        self._foreign: set[int] = set()
        """Partitions whose outbox is no stream, which was said."""

    async def read(self, partitions: Collection[int], limit: int) -> Pages:
        """See `Outboxes.read`."""
        token = uuid.uuid4().hex
        self._pages.update(dict.fromkeys(partitions, token))
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._keys.alert_pages(), mapping={str(p): token for p in partitions})
            for p in partitions:
                pipe.xrange(self._keys.outbox(p), count=limit)
            noted, *pages = await pipe.execute(raise_on_error=False)
        found: dict[int, Sequence[OutboxItem]] = {}
        for p, page in zip(partitions, pages, strict=True):
            if isinstance(page, Exception) and is_code(page, "WRONGTYPE"):
                self._say_foreign(p)
            elif isinstance(page, Exception):
                raise page
            elif page:
                found[p] = await self._sound_items(p, page)
        if isinstance(noted, Exception):
            raise noted
        return {p: items for p, items in found.items() if items}

    def _say_foreign(self, p: int) -> None:
        """Once: alerts and dead letters of the partition are not published, what is counted goes on."""
        if p not in self._foreign:
            self._foreign.add(p)
            log.error("%s is not a stream: rename or delete it", self._keys.outbox(p))

    async def _sound_items(self, p: int, page: Sequence[tuple[bytes, dict[Any, Any]]]) -> list[OutboxItem]:
        """The entries that are ours; others are set aside, as they would be met again for ever."""
        self._foreign.discard(p)
        items, others = [], []
        for entry_id, fields in page:
            try:
                items.append(_item(entry_id, fields))
            except (KeyError, ValueError):
                others.append((entry_id, fields))
        if others:
            await self._quarantine(p, others)
        return items

    async def set_aside(self, p: int, items: Sequence[OutboxItem]) -> None:
        """See `Outboxes.set_aside`."""
        await self._quarantine(p, [(item.entry_id, _fields(item)) for item in items])

    async def _quarantine(self, p: int, entries: Sequence[tuple[bytes | str, dict[Any, Any]]]) -> None:
        log.error("partition %d: %d unknown entries of the outbox were set aside", p, len(entries))
        key = self._keys.quarantine(p, OUTBOX)
        async with self._client.pipeline(transaction=True) as pipe:
            for entry_id, fields in entries:
                pipe.xadd(key, fields, maxlen=MAX_SET_ASIDE)
                pipe.xdel(self._keys.outbox(p), entry_id)
            pipe.expire(key, QUARANTINE_TTL_S)
            pipe.hincrby(self._keys.meta(p), "quarantined", len(entries))
            await pipe.execute()

    async def clear(self, pages: Pages) -> None:
        """See `Outboxes.clear`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p, items in pages.items():
                pipe.xdel(self._keys.outbox(p), *[item.entry_id for item in items])
            await pipe.execute()

    async def append_alerts(self, pages: Pages) -> set[int]:
        """See `Outboxes.append_alerts`."""
        keys = [self._keys.alerts(), self._keys.alert_places(), self._keys.alert_pages()]
        async with self._client.pipeline(transaction=False) as pipe:
            for p, items in pages.items():
                fields = [x for item in items for x in (item.item_id, item.value)]
                args = [self._alerts_kept, p, self._pages.get(p, ""), *fields]
                await self._append(keys=keys, args=args, client=pipe)
            appended = await pipe.execute()
        return {p for p, number in zip(pages, appended, strict=True) if number < 0}


def _item(entry_id: bytes, fields: dict[bytes, bytes]) -> OutboxItem:
    topic, item_id = fields[b"topic"].decode(), fields[b"id"].decode()
    if not _TOPIC.fullmatch(topic) or not (fields[b"key"] or fields[b"value"]):
        raise ValueError("Kafka takes no such record")
    return OutboxItem(entry_id.decode(), topic, fields[b"key"] or None, item_id, fields[b"value"])


def _fields(item: OutboxItem) -> dict[str, str | bytes]:
    return {"topic": item.topic, "key": item.key or b"", "id": item.item_id, "value": item.value}
