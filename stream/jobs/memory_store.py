"""`JobStore` in memory, in a `MemoryStore`: the twin of `RedisJobStore` under the same tests."""

from collections.abc import Collection, Mapping, Sequence

from contracts.key_families import FORGOTTEN, JOB_QUEUES, OUTBOX, snapshot_key
from contracts.snapshots import decode_snapshot
from stream.jobs.store import Pick, Publication, PublishStatus, Queue, QueueHead, SnapshotRecord
from stream.state.memory_partition import MemoryPartition, SortedSet, Stream
from stream.state.memory_store import MemoryStore


class MemoryJobStore:
    """`JobStore` without expiry."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def offer(self, stale: Mapping[Queue, Sequence[str]], *, due_ms: int, max_queued: int) -> int:
        """See `JobStore.offer`."""
        dropped = 0
        for queue, subject_ids in stale.items():
            waiting = self._waiting(queue)
            for subject_id in subject_ids:
                waiting[subject_id] = min(due_ms, waiting.get(subject_id, due_ms))
            for subject_id, _ in _in_order(waiting)[max_queued:]:
                del waiting[subject_id]
                dropped += 1
        return dropped

    async def peek(
        self, partitions: Collection[int], jobs: Sequence[str], *, now_ms: int, limit: int
    ) -> dict[Queue, QueueHead]:
        """See `JobStore.peek`."""
        found = {}
        for queue in [Queue(p, job) for p in partitions for job in jobs]:
            due = [item for item in _in_order(self._waiting(queue)) if item[1] <= now_ms]
            if due:
                found[queue] = QueueHead(len(due), due[:limit])
        return found

    async def take(self, picks: Sequence[Pick]) -> list[bool]:
        """See `JobStore.take`."""
        return [self._take_one(pick) for pick in picks]

    def _take_one(self, pick: Pick) -> bool:
        waiting = self._waiting(pick.queue)
        is_ours = self._store.partitions[pick.queue.partition].counter("epoch") == pick.epoch
        if not is_ours or waiting.get(pick.subject_id) != pick.due_ms:
            return False
        waiting[pick.subject_id] = pick.lease_ms
        return True

    async def publish(self, publication: Publication) -> PublishStatus:
        """See `JobStore.publish`."""
        pick, made_ms, blob, _, next_ms, digest, record = publication
        part = self._store.partitions[pick.queue.partition]
        if part.counter("epoch") != pick.epoch:
            return PublishStatus.FENCED
        waiting = self._waiting(pick.queue)
        is_cut = digest and int(part.hash(FORGOTTEN).get(digest, -1)) >= made_ms
        if is_cut or (digest and pick.subject_id not in waiting):
            waiting.pop(pick.subject_id, None)
            return PublishStatus.FORGOTTEN
        key = snapshot_key(pick.queue.job, pick.subject_id)
        stored: bytes | None = part.values.pop(key, None)
        if stored is not None:
            newest = decode_snapshot(stored)
            if newest.epoch == pick.epoch and newest.made_ms > made_ms:
                part.values[key] = stored
                self._leave_queue(pick, next_ms)
                return PublishStatus.OLDER
        if blob:
            part.values[key] = blob
        if record is not None and (blob or stored is not None):
            _append(part, record)
        self._leave_queue(pick, next_ms if blob else 0)
        return PublishStatus.PUBLISHED

    def _waiting(self, queue: Queue) -> SortedSet:
        part = self._store.partitions[queue.partition]
        waiting: SortedSet = part.values.setdefault(JOB_QUEUES + queue.job, SortedSet())
        return waiting

    def _leave_queue(self, pick: Pick, next_ms: int) -> None:
        waiting = self._waiting(pick.queue)
        if waiting.get(pick.subject_id) != pick.lease_ms:
            return
        if next_ms:
            waiting[pick.subject_id] = next_ms
        else:
            del waiting[pick.subject_id]


def _append(part: MemoryPartition, record: SnapshotRecord) -> None:
    stream: Stream = part.values.setdefault(OUTBOX, Stream())
    topic, key, record_id, value = record
    stream.newest += 1
    stream.append(
        (f"{stream.newest}-0", {"topic": topic, "key": key.encode(), "id": record_id, "value": value})
    )


def _in_order(waiting: Mapping[str, float]) -> list[tuple[str, int]]:
    """As a sorted set has them: by time, then by the bytes of the id."""
    items = [(subject_id, int(due_ms)) for subject_id, due_ms in waiting.items()]
    return sorted(items, key=lambda item: (item[1], item[0].encode()))
