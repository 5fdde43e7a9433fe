"""The runner: takes due subjects from the queues of this worker's partitions and publishes what jobs give."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from redis.exceptions import RedisError

from connections.redis_troubles import redis_trouble
from contracts.clock import wall_clock_ms
from contracts.deletions import digest_user
from contracts.settings import Settings
from contracts.snapshots import encode_record, encode_snapshot
from contracts.subjects import Subject
from contracts.topics import Topics
from stream.jobs.job import DerivedJob, JobRegistry
from stream.jobs.metrics import JobMeter
from stream.jobs.process import JobFailed, JobProcess, JobResult, JobTimeout
from stream.jobs.store import JobStore, Pick, Publication, PublishStatus, Queue, QueueHead, SnapshotRecord
from stream.jobs.triggers import Triggers

log = logging.getLogger(__name__)

TICK_S = 0.25
"""How often triggers go to the queues, and queues are looked at."""
AT_ONCE = 4
"""Subjects taken together: while one is worked on, the others are taken from their queue or written."""
LEASE_MARGIN_MS = 5_000


class Owned(Protocol):
    """The part of `stream.partitions.partition.Partition` that is needed."""

    @property
    def epoch(self) -> int: ...


class JobRunner:
    """One instance per worker, on the worker's event loop, where it does next to nothing."""

    def __init__(
        self,
        settings: Settings,
        jobs: JobRegistry,
        store: JobStore,
        owned: Callable[[], Mapping[int, Owned]],
        triggers: Triggers,
        meter: JobMeter,
        published: Callable[[int], None],
    ) -> None:
        """`owned()` gives the partitions of this worker; `published(p)` is told of what is in an outbox."""
        self._secret = settings.deletion_secret.get_secret_value()
        self._topics = Topics(settings.topic_prefix)
        self._jobs = jobs
        self._store = store
        self._owned = owned
        self._triggers = triggers
        self._meter = meter
        self._published = published
        run_here = [job for job in jobs if job.run is not None]
        self._process = JobProcess(settings, run_here)
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = deque(job.name for job in run_here)
        self._wake = asyncio.Event()
        self._failed: set[str] = set()
        longest_s = max((job.limit_s for job in run_here), default=0.0)
        self._turn_ms = int(AT_ONCE * longest_s * 1_000) + LEASE_MARGIN_MS

    async def run(self) -> None:
        """Work until cancelled; what is under way then is left to the next owner."""
        if not len(self._jobs):
            await asyncio.Event().wait()
        is_away = False
        try:
            while True:
                try:
                    await self._triggers.flush(self._store, now_ms=wall_clock_ms())
                    await self._take_due()
                    is_away = False
                except (RedisError, OSError) as exc:
                    if not is_away:
                        log.warning("cannot read the queues of jobs, retrying: %s", redis_trouble(exc))
                    is_away = True
                await self._pause()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._process.stop()

    async def _pause(self) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):  # `wait_for` of Python 3.11 may swallow a cancellation
                await self._wake.wait()

    async def _take_due(self) -> None:
        room = AT_ONCE - len(self._tasks)
        owned = dict(self._owned())
        if not room or not owned or not self._turns:
            return
        now_ms = wall_clock_ms()
        heads = await self._store.peek(list(owned), list(self._turns), now_ms=now_ms, limit=room)
        self._show(heads, now_ms)
        picks = [
            self._pick(queue, owned[queue.partition], *item) for queue, item in self._choose(heads, room)
        ]
        if not picks:
            return
        for pick, taken in zip(picks, await self._store.take(picks), strict=True):
            if taken:
                task = asyncio.create_task(self._work(pick))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        self._meter.running.set(len(self._tasks))

    def _choose(self, heads: Mapping[Queue, QueueHead], room: int) -> list[tuple[Queue, tuple[str, int]]]:
        """Subjects to take: one of each job in turn, of a job the one that has been due longest."""
        due: dict[str, deque[tuple[Queue, tuple[str, int]]]] = {}
        for name in self._turns:
            found = [
                (queue, item) for queue, head in heads.items() if queue.job == name for item in head.first
            ]
            if found:
                due[name] = deque(sorted(found, key=lambda place: place[1][1]))
        chosen: list[tuple[Queue, tuple[str, int]]] = []
        while due and len(chosen) < room:
            name = next(name for name in self._turns if name in due)
            self._turns.remove(name)
            self._turns.append(name)
            chosen.append(due[name].popleft())
            if not due[name]:
                del due[name]
        return chosen

    def _pick(self, queue: Queue, part: Owned, subject_id: str, due_ms: int) -> Pick:
        # Longer than a trigger that comes meanwhile waits: an offer is seen by the time being sooner.
        lease_ms = wall_clock_ms() + self._jobs[queue.job].interval_ms + self._turn_ms
        return Pick(queue, part.epoch, subject_id, due_ms, lease_ms)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._meter.running.set(len(self._tasks))
        self._wake.set()

    async def _work(self, pick: Pick) -> None:
        job = self._jobs[pick.queue.job]
        try:
            result = await self._run(job, pick)
        except JobTimeout as exc:
            result = self._fail(job, "timeout", exc)
        except (JobFailed, RedisError, OSError) as exc:
            result = self._fail(job, "failed", exc)
        except Exception as exc:  # nothing of this work may end the worker
            log.exception("job %s", job.name)
            result = self._fail(job, "failed", exc)
        self._meter.runs.labels(job.name, result).inc()

    def _fail(self, job: DerivedJob, result: str, exc: Exception) -> str:
        if job.name not in self._failed:
            self._failed.add(job.name)
            reason = redis_trouble(exc) if isinstance(exc, RedisError) else exc
            log.error(
                "job %s failed and will be retried; further failures are only counted: %s", job.name, reason
            )
        return result

    async def _run(self, job: DerivedJob, pick: Pick) -> str:
        subject = Subject(job.kind, pick.subject_id)
        result = await self._process.run(job, subject)
        self._meter.seconds.labels(job.name).observe(result.seconds)
        status = await self._store.publish(self._publication(job, pick, subject, result))
        if status is not PublishStatus.PUBLISHED:
            return status.value
        if job.topic:
            self._published(pick.queue.partition)
        return "empty" if result.packed is None else status.value

    def _publication(self, job: DerivedJob, pick: Pick, subject: Subject, result: JobResult) -> Publication:
        blob, record = b"", None
        packed, json, made_ms, _ = result
        if packed is not None:
            blob = encode_snapshot(job.version, pick.epoch, made_ms, packed)
        if job.topic:
            value = b""
            if json is not None:
                value = encode_record(job.name, subject, job.version, pick.epoch, made_ms, json)
            record_id = f"{job.name}-{subject.id}-{pick.epoch}-{made_ms}"
            record = SnapshotRecord(self._topics.output(job.topic), subject.id, record_id, value)
        next_ms = made_ms + job.refresh_ms if job.refresh_ms else 0
        digest = digest_user(subject.id, self._secret) if subject.is_personal else ""
        return Publication(pick, made_ms, blob, job.ttl_s, next_ms, digest, record)

    def _show(self, heads: Mapping[Queue, QueueHead], now_ms: int) -> None:
        for name in self._turns:
            mine = [head for queue, head in heads.items() if queue.job == name]
            since_ms = min((head.first[0][1] for head in mine), default=now_ms)
            self._meter.waiting.labels(name).set(sum(head.waiting for head in mine))
            self._meter.lag.labels(name).set(max(0, now_ms - since_ms) / 1_000)
