"""A worker's core without Kafka and Redis: a log and a store in memory, read partition by partition."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.events import Event, encode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from models.lifecycle.lifecycle import Lifecycle
from stream.batch.core import PYTHON, Core
from stream.batch.records import Record
from stream.partitions.assignment import Assignment, TopicPartition
from stream.partitions.committer import Committer
from stream.partitions.scheduler import Scheduler
from stream.registry import Registry
from stream.runtime.metrics import Meter
from stream.scoring.slot_steps import SlotSteps
from stream.state.commit import Commit, CommitStatus
from stream.state.memory_partition import MemoryPartition
from stream.state.memory_store import MemoryStore
from stream.state.store import Store


@dataclass(frozen=True)
class LogRecord:
    """A record as a consumer gives it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class MemoryLog:
    """`stream.partitions.assignment.Log` in memory."""

    partitions: int
    records: dict[TopicPartition, list[LogRecord]] = field(default_factory=lambda: defaultdict(list))

    def append(self, topic: str, key: str, value: bytes, at_ms: int) -> None:
        """Write a record into the partition of its key, with this timestamp."""
        records = self.records[topic, partition_of(key, self.partitions)]
        records.append(LogRecord(len(records), at_ms, key.encode(), value))

    def send(self, event: Event) -> None:
        """Write an event that arrives when it happens."""
        self.append(Topics().of(event.event_type), event.user_id, encode(event), event.event_time_ms)

    async def bounds(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {tp: (0, len(self.records[tp])) for tp in tps}

    async def ends(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: len(self.records[tp]) for tp in tps}

    async def read(
        self, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> dict[TopicPartition, list[Record]]:
        return {tp: list(self.records[tp][start:end]) for tp, (start, end) in spans.items()}

    async def move(self, tp: TopicPartition, offset: int) -> None:
        """The next `MemoryWorker.read` begins where the partition is."""

    def note_applied(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Nobody asks for it."""


class WatchedStore(MemoryStore):
    """A memory store that remembers every commit that was applied."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Keys(settings.namespace, settings.partitions))
        self.applied: list[Commit] = []

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        statuses = await super().commit(commits)
        self.applied += [
            commit for commit, status in zip(commits, statuses, strict=True) if status is CommitStatus.APPLIED
        ]
        return statuses

    def owner(self, subject_id: str) -> MemoryPartition:
        """The partition that owns a subject."""
        return self.partitions[partition_of(subject_id, self._keys.partitions)]

    def counter(self, name: str) -> int:
        """A counter of the meta hashes, over all partitions."""
        return sum(part.counter(name) for part in self.partitions.values())

    def outbox(self, topic: str) -> list[Mapping[str, Any]]:
        """What waits to be published to a topic, partition by partition."""
        entries = [fields for part in self.partitions.values() for _, fields in part.stream("outbox")]
        return [fields for fields in entries if fields["topic"] == topic]


class MemoryWorker:
    """Applies the log of all partitions; its next instance on the same store is the next owner."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        kafka: MemoryLog,
        store: Store,
        core: Core = PYTHON,
        lifecycle: Lifecycle | None = None,
    ) -> None:
        meter = Meter()
        self._topics = Topics().partitioned
        self._kafka = kafka
        self.assignment = Assignment(Topics(), registry, store, kafka, meter)
        self.slots = SlotSteps(settings, registry.slots.values(), meter, lifecycle)
        committer = Committer(
            settings, registry, store, self.assignment, meter, self.slots.drift, core.pack_visitors
        )
        self.scheduler = Scheduler(settings, core, registry, committer, self.slots, self.assignment, meter)

    async def look_for_models(self) -> None:
        """What `SlotSteps.watch` does from time to time."""
        for scorer in self.slots.scorers.values():
            await scorer.host.look()

    async def claim(self) -> None:
        """Claim all partitions."""
        await self.assignment.assign(
            [(topic, p) for topic in self._topics for p in range(self._kafka.partitions)]
        )

    async def read(self) -> None:
        """Deliver and apply what is new in the log, then fire the timers that were passed."""
        if not self.assignment.partitions:
            await self.claim()
        for p, part in self.assignment.partitions.items():
            for topic in self._topics:
                start, records = part.fetched[topic], self._kafka.records[topic, p]
                await self.scheduler.offer(topic, p, records[start:], start, len(records), len(records))
        await self.scheduler.drain()
        for group in self.scheduler._groups:
            await self.scheduler._tick(group)

    async def go_on(self) -> None:
        """Go through rounds without new events until there is nothing to do."""
        self.scheduler._stopping = False
        while await self.scheduler._apply_round(self.scheduler._groups):
            pass
