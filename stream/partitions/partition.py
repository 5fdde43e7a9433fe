"""One assigned partition in a worker: buffers, positions, clock and the cache of its visitors."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from contracts.visitor import Visitor
from stream.batch.core import MergeHeads
from stream.batch.merge import merge_heads
from stream.batch.step import Clock, Entry
from stream.components.deletions.records import DeletionRecord
from stream.state.commit import NO_OFFSET, Claim, Commit
from stream.state.store import stored_offset

TIMERS = "#timers"
"""Pseudo-topic whose offset counts the commits of fired deadlines, so that each is applied once."""


MAX_WAITS = 10


class Partition:
    """Mutable state of one partition between its claim and the loss of it."""

    def __init__(
        self,
        number: int,
        topics: Sequence[str],
        claim: Claim,
        *,
        place: int,
        now_s: float,
        deletions: str = "deletions",
    ) -> None:
        self.number = number
        self.place = place
        """Among the partitions of this worker, counted from 0: their numbers may all be even."""
        self.topics = tuple(topics)
        """Topics of events, which are merged; that of deletions is not among them."""
        self.deletions = deletions
        self.epoch = claim.epoch
        self.stored = {topic: stored_offset(claim, topic) for topic in (*topics, deletions, TIMERS)}
        self.clock = Clock(claim.max_event_ms, claim.broker_ms)
        self.level = claim.level
        self.next_due_ms = claim.next_due_ms
        self.forgotten = dict(claim.forgotten)
        """Digests of deleted visitors to the ms up to which their events are kept out."""
        self.deletion_records: deque[DeletionRecord] = deque()
        """Deletions read and not yet applied; no event is taken before them."""
        self.buffers: dict[str, deque[Entry]] = {topic: deque() for topic in topics}
        self.fetched: dict[str, int] = {}
        """Next offset to be buffered, per topic."""
        self.high: dict[str, int] = {}
        """Newest known end of the log, per topic."""
        self.waiting_since_s: float | None = None
        self.taken_s = 0.0
        """When a batch was last taken (monotonic clock)."""
        self.progress_s = now_s
        """When something was last committed, or there was nothing to commit (monotonic clock)."""
        self.verified_s = now_s
        """When Redis last had the offsets and the epoch we expect."""
        self.done_ms = 0
        """When all that Kafka had for this partition was last known to be applied (wall clock)."""
        self.lost = 0
        self._cache: dict[str, Visitor] = {}

    @property
    def buffered(self) -> int:
        """Entries read and not yet committed."""
        return sum(map(len, self.buffers.values()))

    @property
    def is_new(self) -> bool:
        """Whether no event of this partition was ever applied."""
        return all(self.stored[topic] == NO_OFFSET for topic in self.topics)

    @property
    def lag(self) -> int:
        """Records between what is stored and the newest known end of the log."""
        return sum(max(0, high - max(self.stored[topic], 0)) for topic, high in self.high.items() if high)

    @property
    def is_done(self) -> bool:
        """Whether all that is known to be in the logs is applied."""
        return not self.buffered and self.lag == 0

    def awaited_topics(self, *, now_s: float, quiet_s: float, wait_s: float) -> tuple[set[str], bool]:
        """Topics whose log goes on after what was read of them: once they run empty, the others wait.

        While such a topic is empty the partition stands still. It gives up once nothing at all was delivered
        for `wait_s` (`quiet_s` is how long ago the last delivery was), or after `MAX_WAITS` times as long;
        the second value says that it did. A worker busy with other deliveries has not waited in vain.
        """
        awaited = {topic for topic in self.topics if self.high.get(topic, 0) > self.fetched.get(topic, 0)}
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
        unread = [topic for topic in self.topics if self.high.get(topic, 0) > self.fetched.get(topic, 0)]
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
        entries, last = merge(self.buffers, self.topics, awaited=awaited, limit=limit)
        return entries, self.offsets_to({topic: offset + 1 for topic, offset in last.items()})

    def take_deletions(self, limit: int) -> list[DeletionRecord]:
        """Deletions in their order, off the buffer."""
        return [self.deletion_records.popleft() for _ in range(min(limit, len(self.deletion_records)))]

    def offsets_to(self, ends: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Per topic the stored offset and the one after a commit that reaches `ends`.

        All topics are there, also those that do not move: a commit must find every one of them as we know it,
        or Redis came back with another state than the one our cache was made of.
        """
        return {topic: (stored, ends.get(topic, stored)) for topic, stored in self.stored.items()}

    def adopt(self, commit: Commit, *, now_s: float, cache_limit: int) -> None:
        """Take over what a commit that is now in Redis made of this partition."""
        for topic, (_, end) in commit.offsets.items():
            self.stored[topic] = end
        self.lost -= commit.lost
        self.clock = commit.outcome.clock
        self.level = commit.outcome.level
        self.verified_s = now_s
        if any(start != end for start, end in commit.offsets.values()):
            self.progress_s = now_s
        self.forgotten.update(commit.outcome.forgotten)
        for user_id in commit.outcome.removed.values():
            self._cache.pop(user_id, None)
        self.remember(commit.outcome.visitors, cache_limit)
        armed = [due for due in commit.outcome.timers.values() if due]
        if armed:
            earliest = min(armed)
            self.next_due_ms = earliest if self.next_due_ms is None else min(earliest, self.next_due_ms)

    def known(self, users: Iterable[str]) -> dict[str, Visitor]:
        """Those of the visitors whose state is in the cache."""
        cache = self._cache
        return {user: cache[user] for user in users if user in cache}

    def remember(self, visitors: Mapping[str, Visitor], cache_limit: int) -> None:
        """Put states into the cache, newest last; the oldest go when it is full."""
        cache = self._cache
        for user, visitor in visitors.items():
            cache.pop(user, None)
            cache[user] = visitor
        while len(cache) > cache_limit:
            del cache[next(iter(cache))]
