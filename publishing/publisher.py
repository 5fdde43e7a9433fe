"""The publisher: takes visitors from the queues as they are due, ranks, and publishes what is new."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from redis.exceptions import RedisError

from connections.redis_health import RedisHealth
from contracts.clock import wall_clock_ms
from contracts.deletions import digest_user
from contracts.logins import login_of
from contracts.recommendations import RECOMMENDATIONS
from contracts.topics import Topics
from publishing.metrics import PublishingMetrics
from publishing.records import ASKED, MadeList, draft
from readers.reader import Reader
from readers.recommendations.live import LiveRecommendations
from readers.recommendations.stored import read_stored
from readers.recommendations.visitor_facts import read_device_facts
from stream.jobs.store import JobStore, Pick, PublishStatus, Queue, QueueHead

_log = logging.getLogger(__name__)

TICK_S = 0.25
"""Between two looks at queues in which nothing was due."""
AT_ONCE = 32
"""Visitors taken together: each costs about a millisecond, and the time that a process which is killed had
taken them for."""
LEASE_MARGIN_MS = 10_000
OLD_S = 10.0
"""Sessions that were taken in longer ago than this are told of in `/readyz`."""
_ALIVE_S = 30.0


class Publisher:
    """Any number of them may run: each visitor is taken by one, for the time of a lease."""

    def __init__(
        self, reader: Reader, live: LiveRecommendations, store: JobStore, metrics: PublishingMetrics
    ) -> None:
        settings = reader.settings
        self._reader = reader
        self._live = live
        self._store = store
        self._metrics = metrics
        self._topic = Topics(settings.topic_prefix).recommendations
        self._interval_ms = int(settings.recommendation_interval_s * 1_000)
        self._secret = settings.deletion_secret.get_secret_value()
        self.redis = RedisHealth()
        """What keeps it from its work."""
        self._has_failed = False
        self._seen_s = time.monotonic()

    def is_alive(self) -> bool:
        """Whether its rounds still come; they do while Redis is away."""
        return time.monotonic() - self._seen_s < _ALIVE_S

    @property
    def trouble(self) -> str:
        """What keeps it from publishing, in words; empty if nothing does."""
        if not self._live.has_read.is_set():
            return self.redis.describe() or "the first sessions are being read"
        if self._live.age_s > OLD_S:
            return f"sessions are as of {self._live.age_s:.0f} s ago"
        return self.redis.describe()

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until told to stop; what was taken and not yet published is taken again by others."""
        self._live.start()
        try:
            while not stopping.is_set():
                self._seen_s = time.monotonic()
                n_taken = 0
                if self._live.has_read.is_set():
                    self._metrics.sessions_age.set(self._live.age_s)
                    n_taken = await self._try_round()
                if not n_taken:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TICK_S):
                            await stopping.wait()
        finally:
            await self._live.close()

    async def _try_round(self) -> int:
        try:
            n_taken = await self.do_round()
        except (RedisError, OSError) as exc:
            self.redis.failed(exc)
            return 0
        self.redis.answered(wrote=n_taken > 0)
        return n_taken

    async def do_round(self) -> int:
        """Take what is due, at most `AT_ONCE`, and publish it; how many that were. Raises `RedisError`."""
        now_ms = wall_clock_ms()
        partitions = list(self._reader.partitions)
        heads = await self._store.peek(partitions, [RECOMMENDATIONS], now_ms=now_ms, limit=AT_ONCE)
        self._show(heads, now_ms)
        due = sorted(
            (due_ms, queue, visitor_id) for queue, head in heads.items() for visitor_id, due_ms in head.first
        )[:AT_ONCE]
        if not due:
            return 0
        epochs = await self._read_epochs(partitions)
        # An offer that comes meanwhile is seen by its time being sooner than the end of the lease.
        lease_ms = now_ms + self._interval_ms + LEASE_MARGIN_MS
        picks = [
            Pick(queue, epochs[queue.partition], visitor_id, due_ms, lease_ms)
            for due_ms, queue, visitor_id in due
        ]
        taken = await self._store.take(picks)
        mine = [pick for pick, is_mine in zip(picks, taken, strict=True) if is_mine]
        results = await asyncio.gather(*[self._work(pick) for pick in mine])
        for pick, result in zip(mine, results, strict=True):
            self._metrics.visitors.labels(result).inc()
            self._metrics.waited.observe(max(0, now_ms - pick.due_ms) / 1_000)
        return len(mine)

    async def _read_epochs(self, partitions: Sequence[int]) -> list[int]:
        pipe = self._reader.redis.pipeline(transaction=False)
        for p in partitions:
            pipe.hget(self._reader.keys.meta(p), "epoch")
        return [int(epoch or 0) for epoch in await pipe.execute()]

    def _show(self, heads: dict[Queue, QueueHead], now_ms: int) -> None:
        since_ms = min((head.first[0][1] for head in heads.values()), default=now_ms)
        self._metrics.waiting.set(sum(head.waiting for head in heads.values()))
        self._metrics.lag.set(max(0, now_ms - since_ms) / 1_000)

    async def _work(self, pick: Pick) -> str:
        """What became of a visitor, of `metrics.RESULTS`; one that failed is taken again after the lease."""
        try:
            return await self._publish(pick)
        except (RedisError, OSError) as exc:
            self.redis.failed(exc)
        except Exception as exc:  # of one visitor, whose state may be spoiled: the others go on
            if not self._has_failed:
                self._has_failed = True
                _log.exception("a list could not be made; further failures are only counted: %r", exc)
        return "failed"

    async def _publish(self, pick: Pick) -> str:
        made_ms, visitor_id = wall_clock_ms(), pick.subject_id
        facts, stored = await asyncio.gather(
            read_device_facts(self._reader, visitor_id), read_stored(self._reader, visitor_id)
        )
        made = None
        if facts.visitor is not None:
            ranked = await self._live.rank(ASKED, facts)
            if ranked.found.items:
                made = MadeList(ranked, login_of(facts.visitor).customer_id)
        publication, result = draft(
            pick, made_ms, made, stored, self._live.feed.catalogue,
            topic=self._topic, digest=digest_user(visitor_id, self._secret),
        )  # fmt: skip
        status = await self._store.publish(publication)
        return result if status is PublishStatus.PUBLISHED else status.value
