"""Deletions in Redis: opened once, gone on with by one process at a time, kept for a while."""

import hashlib
import uuid
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from api.resources.privacy.job import DeletionJob, from_fields, to_fields
from contracts.clock import wall_clock_ms
from contracts.deletions import digest_user
from contracts.partitioning import partition_of
from readers.reader import Reader

LEASE_MS = 15_000
"""As long nobody else goes on with a deletion whose process has died."""
KEPT_S = 30 * 86_400
"""How long a deletion that is done can be asked about."""
REQUEST_S = 86_400
"""How long an idempotency key holds."""
_OPEN = files("api.resources.privacy").joinpath("open_deletion.lua").read_text()
_CLAIM = """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[2], id) end
return ids
"""


class ReusedKey(ValueError):
    """The idempotency key was used for another visitor."""


class DeletionJobs:
    """Every method raises `redis.RedisError` if Redis is away."""

    def __init__(self, reader: Reader) -> None:
        self._redis = reader.redis
        self._keys = reader.keys
        self._secret = reader.settings.deletion_secret.get_secret_value()

    async def open(self, user_id: str, request_key: str = "") -> DeletionJob:
        """The deletion of this visitor that is under way, or a new one that we must record.

        `request_key` is the caller's idempotency key, with who they are; empty for none. Raises `ReusedKey`.
        """
        now_ms = wall_clock_ms()
        job = DeletionJob(
            uuid.uuid4().hex,
            digest_user(user_id, self._secret),
            partition_of(user_id, self._keys.partitions),
            now_ms,
            user_id,
        )
        keys = [
            self._keys.deletions_by_digest(),
            self._keys.deletions_open(),
            self._keys.deletion_request(hashlib.sha256(request_key.encode()).hexdigest()),
            self._keys.deletion(job.deletion_id),
        ]
        fields = [x for item in to_fields(job._asdict()).items() for x in item]
        lasts_s = str(REQUEST_S) if request_key else ""
        args = [job.digest, job.deletion_id, self._keys.deletion(""), now_ms + LEASE_MS, lasts_s, *fields]
        found, is_new = await self._redis.eval(_OPEN, len(keys), *keys, *args)
        if not found:
            raise ReusedKey
        if is_new:
            return job
        known = await self.get(found.decode())
        return job if known is None else known

    async def get(self, deletion_id: str) -> DeletionJob | None:
        """The deletion; None for one that is not known (any more)."""
        fields: Any = await self._redis.hgetall(self._keys.deletion(deletion_id))
        return from_fields(fields) if fields else None

    async def change(self, job: DeletionJob, **changes: Any) -> DeletionJob:
        """The deletion with these changes, which are in Redis by then."""
        fields: Any = to_fields(changes)
        await self._redis.hset(self._keys.deletion(job.deletion_id), mapping=fields)
        return job._replace(**changes)

    async def claim(self, limit: int) -> list[DeletionJob]:
        """Open deletions somebody may go on with; they are ours for `LEASE_MS`."""
        now_ms = wall_clock_ms()
        open_key = self._keys.deletions_open()
        ids: Any = await self._redis.eval(_CLAIM, 1, open_key, now_ms, now_ms + LEASE_MS, limit)
        jobs = []
        for deletion_id in ids:
            job = await self.get(deletion_id.decode())
            if job is None:
                await self._redis.zrem(open_key, deletion_id)
            else:
                jobs.append(job)
        return jobs

    async def wait(self, jobs: Sequence[DeletionJob], wait_ms: int) -> None:
        """Goes on with the deletions after so long; with `LEASE_MS` they stay ours."""
        at_ms = wall_clock_ms() + wait_ms
        if jobs:
            ready: Any = {job.deletion_id: at_ms for job in jobs}
            await self._redis.zadd(self._keys.deletions_open(), ready, xx=True)

    async def finish(self, job: DeletionJob) -> DeletionJob:
        """The deletion is done: the visitor's id goes, the rest can be asked about for `KEPT_S`."""
        done = job._replace(done_ms=wall_clock_ms(), user_id=None, remaining=None)
        key = self._keys.deletion(job.deletion_id)
        pipe = self._redis.pipeline(transaction=True)
        changes = {"done_ms": done.done_ms, "returned": done.returned, "archives": done.archives}
        fields: Any = to_fields(changes)
        pipe.hset(key, mapping=fields)
        pipe.hdel(key, "user_id", "remaining", "outbox_mark")
        pipe.expire(key, KEPT_S)
        pipe.zrem(self._keys.deletions_open(), job.deletion_id)
        pipe.hdel(self._keys.deletions_by_digest(), job.digest)
        await pipe.execute()
        return done
