"""The remover: goes on with open deletions until nothing of the visitors is left; any process may."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from api.resources.customers.unlinking import NotRecorded
from api.resources.privacy.job import DeletionJob, JobStatus
from api.resources.privacy.jobs import LEASE_MS, DeletionJobs
from api.resources.privacy.linked import forget_in
from api.resources.privacy.recorder import Unrecorded, record
from contracts.archives import ArchiveState
from contracts.clock import wall_clock_ms
from contracts.topics import Topics
from readers.archives import read_archives
from readers.id_search import Needle, search
from readers.reader import Reader
from readers.removal import Scrubber, Trace
from readers.visitors import readable_visitor

_log = logging.getLogger(__name__)

POLL_S = 0.5
JOBS_AT_ONCE = 50
WAIT_MS = 200
"""For the worker and the relay."""
SETTLE_MS = 1_000
"""Between two scrubs: who has read an alert before the first may have copied it until the second."""
AGAIN_MS = 10_000
"""After a search that found something."""


class Remover:
    """One per process of the API; `run` may be called by hand as well, `advance` does one step."""

    def __init__(self, reader: Reader, scrubbers: Sequence[Scrubber]) -> None:
        """`scrubbers` remove traces outside the partition, in this order."""
        self._reader = reader
        self._scrubbers = scrubbers
        self.jobs = DeletionJobs(reader)
        self._deletions = Topics(reader.settings.topic_prefix).deletions
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins with what is open, also what another process left."""
        self._task = asyncio.create_task(self.run())

    async def close(self) -> None:
        """Ends; what is open is gone on with by another process, or after the next start."""
        while self._task is not None and not self._task.done():
            self._task.cancel()  # again and again: the Redis client loses one that meets a broken connection
            await asyncio.wait([self._task], timeout=0.5)

    async def run(self) -> None:
        """Goes on with whatever is open, until cancelled."""
        while True:
            try:
                while await self.advance():
                    pass
            except RedisError as exc:
                _log.warning("deletions wait for Redis: %s", exc)
            except Exception:  # the boundary: what cannot be understood is tried again, and must be seen
                _log.exception("unexpected error in deletions, retrying")
            await asyncio.sleep(POLL_S)

    async def advance(self) -> bool:
        """Takes open deletions that nobody works on as far as they go now; False if there were none."""
        jobs = await self.jobs.claim(JOBS_AT_ONCE)
        scrubbed = [job for job in [await self._advance(job) for job in jobs] if job is not None]
        if scrubbed:
            await self._verify(scrubbed)
        return bool(jobs)

    async def _advance(self, job: DeletionJob) -> DeletionJob | None:
        """The deletion if only the search is left to do; None if it must wait."""
        if job.offset is None:
            try:
                job = await record(self._reader, self.jobs, job)
            except Unrecorded as exc:
                _log.warning("deletion %s waits for Kafka: %s", job.deletion_id, exc)
                await self.jobs.wait([job], AGAIN_MS)
                return None
        if job.removed_ms is None:
            job = await self._await_worker(job)
        if job.removed_ms is None or not await self._is_relayed(job):
            await self.jobs.wait([job], WAIT_MS)
            return None
        is_first = job.scrubbed_ms is None
        job = await self._scrub(job)
        if is_first:
            await self.jobs.wait([job], SETTLE_MS)
            return None
        return job

    async def _await_worker(self, job: DeletionJob) -> DeletionJob:
        """The deletion, with `removed_ms` once the partition's stored offset is behind its record."""
        redis, keys, p = self._reader.redis, self._reader.keys, job.partition
        pipe = redis.pipeline(transaction=True)
        pipe.hget(keys.meta(p), f"off:{self._deletions}")
        pipe.hget(keys.forgotten(p), job.digest)
        pipe.xrevrange(keys.outbox(p), count=1)
        offset, cut_ms, newest = await pipe.execute()
        if cut_ms is None or int(offset or 0) <= (job.offset or 0):
            return job
        mark = newest[0][0].decode() if newest else ""
        return await self.jobs.change(job, removed_ms=wall_clock_ms(), cut_ms=int(cut_ms), outbox_mark=mark)

    async def _is_relayed(self, job: DeletionJob) -> bool:
        """Whether alerts from before the state was removed have left the outbox: some may be theirs."""
        if not job.outbox_mark:
            return True
        outbox = self._reader.keys.outbox(job.partition)
        left: Any = await self._reader.redis.xrange(outbox, max=job.outbox_mark, count=1)
        return not left

    async def _scrub(self, job: DeletionJob) -> DeletionJob:
        returned = await self._has_returned(job)
        trace = Trace(job.user_id or "", job.digest, job.partition, job.cut_ms or 0, returned)
        for scrubber in self._scrubbers:
            job = job._replace(removed=job.add_removed(await scrubber(self._reader, trace)))
        return await self.jobs.change(
            job, removed=job.removed, scrubbed_ms=wall_clock_ms(), returned=trace.returned
        )

    async def _has_returned(self, job: DeletionJob) -> bool:
        """Whether the visitor has a state again, of events after the deletion."""
        key = self._reader.keys.visitor_in(job.partition, job.user_id or "")
        blob: Any = await self._reader.redis.get(key)
        visitor = None if blob is None else readable_visitor(blob)
        return visitor is not None and visitor.totals.first_ms > (job.cut_ms or 0)

    async def _verify(self, jobs: Sequence[DeletionJob]) -> None:
        """Searches for all of them at once; those of whom nothing is left, or only what is new, are done."""
        reader = self._reader

        async def keep() -> None:
            await self.jobs.wait(jobs, LEASE_MS)

        archives = await read_archives(reader)
        needles = [Needle(job.user_id or "") for job in jobs]
        for job, places in zip(
            jobs, await search(reader.redis, reader.keys, needles, keep=keep), strict=True
        ):
            own = reader.keys.deletion(job.deletion_id)
            left = sorted({place.key for place in places} - {own})
            returned = await self._has_returned(job)
            is_waiting = not await self._are_done(job.parts) or not _are_clear(archives, job)
            if (not left or returned) and is_waiting:
                await self.jobs.wait([job], WAIT_MS)
            elif not left or returned:
                cleared = {archive.location: archive.cleared.get(job.digest) for archive in archives}
                await self.jobs.finish(job._replace(returned=returned, archives=cleared))
                _log.info("deletion %s is done", job.deletion_id)
            else:
                _log.warning("deletion %s: %d keys still contain the id", job.deletion_id, len(left))
                await self.jobs.change(job, remaining=len(left))
                await self._have_forgotten(job, left)

    async def _are_done(self, parts: Sequence[str]) -> bool:
        """Whether nothing is left of all ids that were linked."""
        jobs = [await self.jobs.get(deletion_id) for deletion_id in parts]
        return all(job is None or job.status is JobStatus.DONE for job in jobs)

    async def _have_forgotten(self, job: DeletionJob, keys: Sequence[str]) -> None:
        """Have customers and devices of others forget the id, and look again."""
        try:
            asked = [await forget_in(self._reader, key, job.user_id or "") for key in keys]
        except NotRecorded as exc:
            _log.warning("deletion %s waits for Kafka: %s", job.deletion_id, exc)
            asked = []
        await self.jobs.wait([job], SETTLE_MS if any(asked) else AGAIN_MS)


def _are_clear(archives: Sequence[ArchiveState], job: DeletionJob) -> bool:
    """Whether no file of any archive has the visitor any more."""
    return all(archive.is_clear_of(job.partition, job.offset or 0) for archive in archives)
