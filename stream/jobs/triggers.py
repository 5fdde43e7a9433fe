"""Triggers: the subjects that commits have made stale, on their way to the queues of their owners."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from redis.exceptions import RedisError

from contracts.partitioning import partition_of
from contracts.subjects import SubjectKind
from stream.batch.result import BatchResult
from stream.jobs.job import DerivedJob
from stream.jobs.metrics import JobMeter
from stream.jobs.store import JobStore, Queue

log = logging.getLogger(__name__)

MAX_HELD = 20_000
"""Triggers of one job held in memory: a second of a backlog in which every event names another product."""
OWNERS_KEPT = 32_768
"""Ids whose partition is remembered: computing it takes 4 us, and the same products come again."""


class Triggers:
    """Holds each stale subject once until it is put into its queue. Used on the worker's event loop only."""

    def __init__(self, jobs: Iterable[DerivedJob], partitions: int, meter: JobMeter) -> None:
        self._held: dict[DerivedJob, dict[Queue, set[str]]] = {job: {} for job in jobs}
        self._numbers = dict.fromkeys((job.name for job in self._held), 0)
        self._owner = lru_cache(OWNERS_KEPT)(lambda subject_id: partition_of(subject_id, partitions))
        self._meter = meter
        self._failed: set[str] = set()

    def note(self, partition: int, result: BatchResult) -> None:
        """Take what a commit that is in Redis has made stale; a job that cannot say it is counted."""
        for job in self._held:
            try:
                stale = job.stale(result)
                if job.kind is SubjectKind.VISITOR:  # whose events are in the visitor's own partition
                    self._hold(job, Queue(partition, job.name), stale)
                    continue
                for subject_id in stale:  # a product's are in all of them
                    self._hold(job, Queue(self._owner(subject_id), job.name), (subject_id,))
            except Exception as exc:  # a job's own code must not end the worker
                self._meter.failed_triggers.labels(job.name).inc()
                if job.name not in self._failed:
                    self._failed.add(job.name)
                    log.exception("job %s cannot say what a commit made stale: %r", job.name, exc)

    def _hold(self, job: DerivedJob, queue: Queue, subject_ids: Iterable[str]) -> None:
        held = self._held[job].setdefault(queue, set())
        fresh = set(subject_ids).difference(held)
        room = max(0, MAX_HELD - self._numbers[job.name])
        if len(fresh) > room:
            self._meter.dropped.labels(job.name).inc(len(fresh) - room)
            fresh = set(islice(fresh, room))
        held |= fresh
        self._numbers[job.name] += len(fresh)

    async def flush(self, store: JobStore, *, now_ms: int) -> None:
        """Put what is held into the queues; raises `redis.RedisError`, and then goes on holding it."""
        for job in self._held:
            queues, self._held[job] = self._held[job], {}
            self._numbers[job.name] = 0
            if not queues:
                continue
            try:
                dropped = await store.offer(
                    {queue: list(held) for queue, held in queues.items()},
                    due_ms=now_ms + job.interval_ms,
                    max_queued=job.max_queued,
                )
            except (RedisError, OSError):
                for queue, held in queues.items():
                    self._hold(job, queue, held)
                raise
            self._meter.dropped.labels(job.name).inc(dropped)
