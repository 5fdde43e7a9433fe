"""How far the stream is behind what was sent, from the offsets it keeps in Redis."""

from collections.abc import Mapping
from typing import Protocol

import redis

from connections.redis import open_redis
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics

TOTALS = ("applied", "duplicates", "late", "rejected", "forgotten", "lost")
"""Counters of the stream, in each partition's meta hash."""

Offsets = dict[tuple[str, int], int]
"""(topic, partition) to an offset."""


class LagUnknown(RuntimeError):
    """The applied offsets cannot be read; says why."""


class AppliedOffsets(Protocol):
    """Where the stream stands."""

    def read(self) -> Offsets:
        """Next offset to apply of each (topic, partition) the stream knows; raises `LagUnknown`."""


class RedisOffsets:
    """The offsets the stream commits together with its state."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url
        self._client = open_redis(settings, connect_timeout_s=2.0)
        self._topics = Topics(settings.topic_prefix).events
        self._metas = [
            Keys(settings.namespace, settings.partitions).meta(p) for p in range(settings.partitions)
        ]

    def read(self) -> Offsets:
        """See `AppliedOffsets.read`."""
        rows = self._read([f"off:{topic}" for topic in self._topics])
        return {
            (topic, p): int(offset)
            for p, offsets in enumerate(rows)
            for topic, offset in zip(self._topics, offsets, strict=True)
            if offset is not None
        }

    def read_totals(self) -> dict[str, int]:
        """The `TOTALS` of all partitions together; raises `LagUnknown`."""
        rows = self._read(list(TOTALS))
        return {name: sum(int(row[i] or 0) for row in rows) for i, name in enumerate(TOTALS)}

    def _read(self, fields: list[str]) -> list[list[bytes | None]]:
        """These fields of each partition's meta hash."""
        pipe = self._client.pipeline(transaction=False)
        for meta in self._metas:
            pipe.hmget(meta, fields)
        try:
            rows: list[list[bytes | None]] = pipe.execute()
        except redis.RedisError as exc:
            raise LagUnknown(f"Redis at {self._url} does not answer: {exc}") from exc
        return rows

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def lag_events(
    starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int], applied: Offsets
) -> int:
    """Records up to `ends` that are not applied; where nothing is applied yet, those from `starts` on."""
    return sum(max(0, end - applied.get(where, starts[where])) for where, end in ends.items())
