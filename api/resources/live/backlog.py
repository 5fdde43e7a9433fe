"""What lies in Kafka and is not counted yet: of all partitions, and of the one that a visitor is in."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from api.resources.live import schemas
from api.resources.live.log_ends import EndsUnknown, LogEnds, Place
from contracts.clock import wall_clock_ms
from contracts.partitioning import partition_of
from contracts.topics import Topics
from readers.intervals import to_datetime
from readers.reader import Reader
from readers.shared_answer import SharedAnswer

HISTORY_MS = 60_000
"""Events that reached Kafka so much later than they happened are history."""
_MAX_AGE_S = 0.5


class PartitionBacklog(NamedTuple):
    """Records not applied yet, and the times of the newest applied: of the event and of its arrival (ms)."""

    waiting: int
    event_ms: int | None
    broker_ms: int | None

    @property
    def is_history(self) -> bool:
        """Whether what waits follows events that were long past when they were sent."""
        return bool(
            self.waiting
            and self.event_ms is not None
            and self.broker_ms is not None
            and self.broker_ms - self.event_ms > HISTORY_MS
        )


class StreamBacklog(SharedAnswer[Sequence[PartitionBacklog] | None]):
    """The backlog of each partition as of half a second ago at most; None where Kafka does not say."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(self._read_all, max_age_s=_MAX_AGE_S)
        self._reader = reader
        self._topics = Topics(reader.settings.topic_prefix).events
        self._ends = LogEnds(reader.settings)

    async def close(self) -> None:
        """Leaves Kafka."""
        await self._ends.close()

    async def explain_missing(self, user_id: str) -> str:
        """What to add to the answer that something of this visitor is missing; empty if all is counted."""
        partitions = await self.get()
        if partitions is None:
            return ""
        own = partitions[partition_of(user_id, len(partitions))]
        if not own.waiting:
            return ""
        text = f"; {say_waiting(own.waiting)} to be counted in this visitor's part of the stream"
        if not await self._reader.heartbeats(now_ms=wall_clock_ms()):
            return f"{text}, and no worker is running"
        if own.is_history and own.event_ms is not None:
            text += f", where history has been replayed to {to_datetime(own.event_ms):%Y-%m-%dT%H:%M:%SZ}"
        return f"{text}: ask again"

    async def _read_all(self) -> Sequence[PartitionBacklog] | None:
        """Kafka first: what comes meanwhile is left out."""
        places = [(topic, p) for p in self._reader.partitions for topic in self._topics]
        try:
            ends = await self._ends.ends(places)
            rows = await self._read_metas()
            unread = [place for place in places if _offset(rows[place[1]], place[0]) is None and ends[place]]
            starts = await self._ends.starts(unread) if unread else {}
        except EndsUnknown:
            return None
        return [self._judge(p, row, ends, starts) for p, row in enumerate(rows)]

    async def _read_metas(self) -> list[dict[str, int | None]]:
        fields = ["max_event_ms", "broker_ms", *(f"off:{topic}" for topic in self._topics)]
        pipe = self._reader.redis.pipeline(transaction=False)
        for p in self._reader.partitions:
            pipe.hmget(self._reader.keys.meta(p), fields)
        return [dict(zip(fields, map(_whole, values), strict=True)) for values in await pipe.execute()]

    def _judge(
        self, p: int, row: Mapping[str, int | None], ends: Mapping[Place, int], starts: Mapping[Place, int]
    ) -> PartitionBacklog:
        waiting = 0
        for topic in self._topics:
            applied = _offset(row, topic)
            begin = starts.get((topic, p), 0) if applied is None else applied
            waiting += max(0, ends[topic, p] - begin)
        return PartitionBacklog(waiting, row["max_event_ms"], row["broker_ms"])


def to_backlog(partitions: Sequence[PartitionBacklog] | None) -> schemas.Backlog | None:
    """As `/v1/live` has it."""
    if partitions is None:
        return None
    reached = [part.event_ms for part in partitions if part.is_history and part.event_ms is not None]
    return schemas.Backlog(
        waiting=sum(part.waiting for part in partitions),
        history_to=to_datetime(min(reached)) if reached else None,
    )


def say_waiting(count: int) -> str:
    """Such as `1,204 events wait`."""
    return "1 event waits" if count == 1 else f"{count:,} events wait"


def _offset(row: Mapping[str, int | None], topic: str) -> int | None:
    return row[f"off:{topic}"]


def _whole(value: Any) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
