"""One assigned partition in a worker: buffers, positions, clock and the cache of its visitors."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.key_families import TIMERS as TIMERS_START
from contracts.key_families import VISITOR_TIMERS
from contracts.subjects import SubjectKind
from contracts.visitor import Visitor
from stream.batch.core import MergeHeads
from stream.batch.entries import Clock, Entry
from stream.batch.merge import merge_heads
from stream.batch.result import VISITOR_KIND, BatchResult
from stream.partitions.cache import Cache
from stream.partitions.load import Load
from stream.registry import AnyComponent, Registry
from stream.scoring.waiting import Waiting
from stream.state.commit import NO_OFFSET, Claim, Commit
from stream.state.store import stored_offset

TIMERS = "#timers"
"""Pseudo-topic whose offset counts commits without records, such as those of fired timers: each is applied
once."""

MAX_WAITS = 10
COMMIT_BYTES = 8 << 20
"""About how many bytes of records of one topic are in a commit: dead letters have all of them."""


class UnreadableState(ValueError):
    """What is stored for a component cannot be read; it says under which keys."""


class Partition:
    """Mutable state of one partition between its claim and the loss of it.

    `topics` are those whose events are merged by event time; each of `queued` is applied before events, in
    its own order.
    """

    def __init__(
        self,
        number: int,
        topics: Sequence[str],
        claim: Claim,
        *,
        registry: Registry,
        place: int,
        now_s: float,
        queued: Sequence[str] = (),
    ) -> None:
        self.number = number
        self.place = place
        """Among the partitions of this worker, counted from 0: their numbers may all be even."""
        self.topics = tuple(topics)
        self.epoch = claim.epoch
        self.stored = {topic: stored_offset(claim, topic) for topic in (*topics, *queued, TIMERS)}
        self.clock = Clock(claim.max_event_ms, claim.broker_ms)
        self._registry = registry
        self.states: dict[str, Any] = {
            name: _load(component, claim) for name, component in registry.components.items()
        }
        """States of components by their names."""
        self.values: dict[str, Cache[Any]] = {
            name: Cache() for name, component in registry.components.items() if component.values is not None
        }
        """Values of subjects by component and id."""
        self.next_due_ms: dict[str, int | None] = {
            kind: claim.found.get(key) for kind, key in timer_keys(registry).items()
        }
        """By kind of timers, when the earliest is due."""
        self.queues: dict[str, deque[Any]] = {topic: deque() for topic in queued}
        """Records read of topics that are applied before events."""
        self.buffers: dict[str, deque[Entry]] = {topic: deque() for topic in topics}
        self.loads: dict[str, Load] = {topic: Load() for topic in (*topics, *queued)}
        """How heavy they are, by topic."""
        self.size = 0
        """About how many bytes they have together."""
        self.fetched: dict[str, int] = {}
        """Next offset to be buffered, per topic."""
        self.high: dict[str, int] = {}
        """Newest known end of the log, per topic."""
        self.waiting_since_s: float | None = None
        self.taken_s = now_s
        """When a batch was last taken, or the partition was claimed (monotonic clock)."""
        self.density = 0.0
        """Visitors per event of the last batch; 0: there was none."""
        self.queue_taken_s = 0.0
        """When all was applied that waited in topics that come before events (monotonic clock); 0: never."""
        self.progress_s = now_s
        """When something was last committed, or there was nothing to commit (monotonic clock)."""
        self.verified_s = now_s
        """When Redis last had the offsets and the epoch we expect."""
        self.done_ms = 0
        """When all that Kafka had for this partition was last known to be applied (wall clock)."""
        self.lost = 0
        self.visitors: Cache[Visitor] = Cache()
        self.waiting = Waiting()
        """Visitors who wait for a score."""

    @property
    def buffered(self) -> int:
        """Entries read and not yet committed."""
        return sum(map(len, self.buffers.values()))

    @property
    def known(self) -> int:
        """Entries read and not yet committed, and how many more are known to be in the logs, at most."""
        unread = [self.high.get(topic, 0) - self.fetched.get(topic, 0) for topic in self.topics]
        return self.buffered + sum([number for number in unread if number > 0])

    def note_read(self, topic: str, number: int, size: int) -> None:
        """So many records of a topic were read, of about so many bytes."""
        self.loads[topic].add(number, size)
        self.size += size

    @property
    def is_new(self) -> bool:
        """Whether no event of this partition was ever applied."""
        return all(self.stored[topic] == NO_OFFSET for topic in self.topics)

    @property
    def is_touched(self) -> bool:
        """Whether a record of any topic was ever applied."""
        return any(self.stored[topic] != NO_OFFSET for topic in self.loads)

    @property
    def lag(self) -> int:
        """Records between what is stored and the newest known end of the log."""
        return sum(max(0, high - max(self.stored[topic], 0)) for topic, high in self.high.items() if high)

    @property
    def is_done(self) -> bool:
        """Whether all that is known to be in the logs is applied."""
        return not self.buffered and self.lag == 0

    @property
    def unread(self) -> list[str]:
        """Event topics whose log goes on after what was read of them, as far as is known."""
        return [topic for topic in self.topics if self.high.get(topic, 0) > self.fetched.get(topic, 0)]

    def awaited_topics(self, *, now_s: float, quiet_s: float, wait_s: float) -> tuple[set[str], bool]:
        """Topics whose log goes on after what was read of them: once they run empty, the others wait.

        While such a topic is empty the partition stands still. It gives up once nothing at all was delivered
        for `wait_s` (`quiet_s` is how long ago the last delivery was), or after `MAX_WAITS` times as long;
        the second value says that it did. A worker busy with other deliveries has not waited in vain.
        """
        awaited = set(self.unread)
        if not self.buffered or all(self.buffers[topic] for topic in awaited):
            self.waiting_since_s = None
            return awaited, False
        if self.waiting_since_s is None:
            self.waiting_since_s = now_s
        waited_s = now_s - self.waiting_since_s
        given_up = min(waited_s, quiet_s) >= wait_s or waited_s >= MAX_WAITS * wait_s
        return (set(), True) if given_up else (awaited, False)

    def read_topics(self) -> list[str]:
        """Topics read to the end of their log, as far as is known; none while the partition waits anyway."""
        unread = self.unread
        if any(not self.buffers[topic] for topic in unread):
            return []
        return [topic for topic in self.topics if topic not in unread]

    def span_ms(self) -> int:
        """How far the newest buffered entry lies ahead of the newest event applied; 0 with none."""
        heads = [buffer[-1].at_ms for buffer in self.buffers.values() if buffer]
        return max(heads, default=self.clock.max_event_ms) - self.clock.max_event_ms

    def take(
        self, limit: int, awaited: set[str], merge: MergeHeads = merge_heads
    ) -> tuple[list[Entry], dict[str, tuple[int, int]]]:
        """Entries in event-time order, off the buffers, and the offsets of their commit."""
        held = {topic: len(buffer) for topic, buffer in self.buffers.items() if buffer}
        limit = min([self.loads[topic].fitting(limit, COMMIT_BYTES) for topic in held], default=limit)
        entries, last = merge(self.buffers, self.topics, awaited=awaited, limit=limit)
        for topic, number in held.items():
            self.size -= self.loads[topic].drop(number - len(self.buffers[topic]))
        ends = {topic: offset + 1 for topic, offset in last.items()}
        return entries, self.offsets_to(ends | self.read_ends())

    def timer_offsets(self) -> dict[str, tuple[int, int]]:
        """The offsets of a commit without records: it moves `TIMERS`, so that it is applied once."""
        return self.offsets_to({TIMERS: self.stored[TIMERS] + 1})

    def read_ends(self) -> dict[str, int]:
        """Next offsets of topics of which nothing is buffered and more was read than is stored.

        The rest of such a log has no record for us: the marker at the end of a transaction, or all of one
        that was aborted.
        """
        return {
            topic: self.fetched[topic]
            for topic, buffer in self.buffers.items()
            if not buffer and self.fetched.get(topic, 0) > max(self.stored[topic], 0)
        }

    @property
    def queued(self) -> int:
        """Records of topics that come before events, read and not yet committed."""
        return sum(map(len, self.queues.values()))

    def is_queued(self, ends: Mapping[str, int]) -> bool:
        """Whether records of topics that come before events wait, with offsets below these `ends`."""
        return any(
            queue[0].offset < ends[topic] if queue else self.queued_end(topic) is not None
            for topic, queue in self.queues.items()
        )

    def queued_end(self, topic: str) -> int | None:
        """The next offset once all that was read of a queued topic is applied; None if that is so."""
        end = self.fetched.get(topic, 0)
        return end if self.queues[topic] or end > max(self.stored[topic], 0) else None

    def take_queued(self, topic: str, limit: int) -> tuple[list[Any], int]:
        """Records of a queued topic in their order, off the queue, and the offset after them.

        That may lie beyond the last of them: the newest records of a log may be gone.
        """
        queue, load = self.queues[topic], self.loads[topic]
        items = [queue.popleft() for _ in range(min(load.fitting(limit, COMMIT_BYTES), len(queue)))]
        self.size -= load.drop(len(items))
        return items, items[-1].offset + 1 if queue else self.fetched[topic]

    def offsets_to(self, ends: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Per topic the stored offset and the one after a commit that reaches `ends`.

        All topics are there, also those that do not move: a commit must find every one of them as we know it,
        or Redis came back with another state than the one our cache was made of.
        """
        return {topic: (stored, ends.get(topic, stored)) for topic, stored in self.stored.items()}

    def adopt(self, commit: Commit, result: BatchResult, *, now_s: float, cache_limit: int) -> None:
        """Take over what a commit that is now in Redis made of this partition."""
        for topic, (_, end) in commit.offsets.items():
            self.stored[topic] = end
        self.clock = result.clock
        self.verified_s = now_s
        if any(start != end for start, end in commit.offsets.values()):
            self.progress_s = now_s
        for name, change in result.changes.items():
            if change.state is not None:
                self.states[name] = change.state
            if change.values:
                self.values[name].put(change.values, cache_limit)
        self.visitors.put(result.visitors, cache_limit)
        for subject in result.forgotten:
            if subject.kind is SubjectKind.VISITOR:
                self.visitors.drop(subject.id)
            for name, cache in self.values.items():
                values = self._registry.components[name].values
                if values is not None and values.kind is subject.kind:
                    cache.drop(subject.id)
        for kind, timers in result.all_timers().items():
            earliest = min((due for due in timers.values() if due), default=None)
            known = self.next_due_ms[kind]
            if earliest is not None and (known is None or earliest < known):
                self.next_due_ms[kind] = earliest


def timer_keys(registry: Registry) -> dict[str, str]:
    """Kinds of timers to the sorted sets that hold them."""
    return {VISITOR_KIND: VISITOR_TIMERS} | {kind: TIMERS_START + kind for kind, _ in registry.timers()}


def _load(component: AnyComponent, claim: Claim) -> Any:
    try:
        return component.load(claim.found)
    except Exception as exc:  # the boundary of components; an extension's may raise anything
        keys = ", ".join(read.key for read in component.reads) or component.name
        raise UnreadableState(f"what is stored under {keys} cannot be read: {type(exc).__name__}") from exc
