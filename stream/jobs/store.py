"""Where queues of derived work and snapshots live: the protocol, and Redis behind it."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from typing import NamedTuple, Protocol

import redis.asyncio as redis

from contracts.keys import Keys
from contracts.snapshots import MAX_HEADER_BYTES

QUEUE_TTL_S = 7 * 86_400
"""The queue of a job that is gone is kept so long."""


class Queue(NamedTuple):
    """The queue of one job in one partition."""

    partition: int
    job: str


class QueueHead(NamedTuple):
    """What is due in a queue: how many subjects, and the first of them with the ms since when."""

    waiting: int
    first: Sequence[tuple[str, int]]


class Pick(NamedTuple):
    """A subject to take from a queue, as it was seen there, until `lease_ms` at most."""

    queue: Queue
    epoch: int
    subject_id: str
    due_ms: int
    lease_ms: int


class SnapshotRecord(NamedTuple):
    """What the outbox gets of a snapshot: an empty `value` takes the record with this key back."""

    topic: str
    key: str
    record_id: str
    value: bytes


class Publication(NamedTuple):
    """A run that is done: what to write, and what the queue has of the subject afterwards."""

    pick: Pick
    made_ms: int
    blob: bytes
    """Empty: there is no value, and the snapshot is removed."""
    ttl_s: int
    next_ms: int
    """When it is due again if it has not become stale meanwhile; 0: not at all."""
    digest: str = ""
    """Of a person (`contracts.deletions`): nothing is written of one who was deleted after `made_ms`."""
    record: SnapshotRecord | None = None


class PublishStatus(StrEnum):
    """What became of a publication; only after the first was anything written."""

    PUBLISHED = "published"
    FENCED = "fenced"
    """The partition has another owner now, or Redis came back with another epoch than ours."""
    OLDER = "older"
    """There is a newer snapshot, made under the same epoch."""
    FORGOTTEN = "forgotten"
    """The subject is a person who was deleted after the run began, or was dropped from a full queue."""


class JobStore(Protocol):
    """Queues and snapshots. Any call may raise `redis.RedisError`; what was asked may then have been done."""

    async def offer(self, stale: Mapping[Queue, Sequence[str]], *, due_ms: int, max_queued: int) -> int:
        """Put subjects into queues, due at `due_ms` at the latest; how many were dropped from full ones.

        A subject is in a queue once; one that is due sooner stays so. From a queue of more than `max_queued`
        those due last are dropped.
        """
        ...

    async def peek(
        self, partitions: Collection[int], jobs: Sequence[str], *, now_ms: int, limit: int
    ) -> dict[Queue, QueueHead]:
        """What is due in each queue that has anything due, at most `limit` subjects of each."""
        ...

    async def take(self, picks: Sequence[Pick]) -> list[bool]:
        """Take subjects for the time of their lease, after which they are due again; says which it got.

        Not those of a partition with another epoch, nor those that are not in the queue as they were seen.
        """
        ...

    async def publish(self, publication: Publication) -> PublishStatus:
        """Write snapshot, outbox and place in the queue together, or nothing.

        A subject that was offered again since it was taken stays due for it.
        """
        ...


class RedisJobStore:
    """`JobStore` in Redis; each script call touches the keys of one partition."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._offer, self._peek, self._take, self._publish = (
            client.register_script(files("stream.jobs").joinpath(f"{name}.lua").read_text())
            for name in ("offer", "peek", "take", "publish")
        )

    async def offer(self, stale: Mapping[Queue, Sequence[str]], *, due_ms: int, max_queued: int) -> int:
        """See `JobStore.offer`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for queue, subject_ids in stale.items():
                keys = [self._keys.job_queue(*queue)]
                await self._offer(
                    keys=keys, args=[due_ms, max_queued, QUEUE_TTL_S, *subject_ids], client=pipe
                )
            return sum(await pipe.execute())

    async def peek(
        self, partitions: Collection[int], jobs: Sequence[str], *, now_ms: int, limit: int
    ) -> dict[Queue, QueueHead]:
        """See `JobStore.peek`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for p in partitions:
                keys = [self._keys.job_queue(p, job) for job in jobs]
                await self._peek(keys=keys, args=[now_ms, limit], client=pipe)
            rows = await pipe.execute()
        found = {}
        for p, heads in zip(partitions, rows, strict=True):
            for job, (waiting, flat) in zip(jobs, heads, strict=True):
                if waiting:
                    first = [
                        (member.decode(), int(float(due)))
                        for member, due in zip(flat[::2], flat[1::2], strict=True)
                    ]
                    found[Queue(p, job)] = QueueHead(waiting, first)
        return found

    async def take(self, picks: Sequence[Pick]) -> list[bool]:
        """See `JobStore.take`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for queue, epoch, subject_id, due_ms, lease_ms in picks:
                keys = [self._keys.meta(queue.partition), self._keys.job_queue(*queue)]
                await self._take(keys=keys, args=[epoch, subject_id, due_ms, lease_ms], client=pipe)
            return [bool(taken) for taken in await pipe.execute()]

    async def publish(self, publication: Publication) -> PublishStatus:
        """See `JobStore.publish`."""
        pick, made_ms, blob, ttl_s, next_ms, digest, record = publication
        p, job = pick.queue
        keys = [
            self._keys.meta(p),
            self._keys.job_queue(p, job),
            self._keys.snapshot_in(p, job, pick.subject_id),
            self._keys.forgotten(p),
            self._keys.outbox(p),
        ]
        args = [
            pick.epoch, made_ms, pick.subject_id, pick.lease_ms, next_ms, digest, MAX_HEADER_BYTES,
            blob, ttl_s, *(record or ()),
        ]  # fmt: skip
        status: bytes = await self._publish(keys=keys, args=args)
        return PublishStatus(status.decode())
