"""How far the stream is behind what was sent, from the offsets it keeps in Redis."""

from collections.abc import Mapping
from typing import Protocol

import redis

from connections.redis import open_redis
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics

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
        pipe = self._client.pipeline(transaction=False)
        for meta in self._metas:
            pipe.hmget(meta, [f"off:{topic}" for topic in self._topics])
        try:
            rows = pipe.execute()
        except redis.RedisError as exc:
            raise LagUnknown(f"Redis at {self._url} does not answer: {exc}") from exc
        return {
            (topic, p): int(offset)
            for p, offsets in enumerate(rows)
            for topic, offset in zip(self._topics, offsets, strict=True)
            if offset is not None
        }

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def lag_events(
    starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int], applied: Offsets
) -> int:
    """Records up to `ends` that are not applied; where nothing is applied yet, those from `starts` on."""
    return sum(max(0, end - applied.get(where, starts[where])) for where, end in ends.items())
