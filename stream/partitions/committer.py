"""The committer: reads visitors' states, writes commits, and draws the consequences of Redis' statuses."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence

from contracts.clock import wall_clock_ms, watermark_of
from contracts.settings import Settings
from contracts.visitor import Visitor
from stream.batch.step import BatchResult
from stream.partitions.assignment import Assignment
from stream.partitions.partition import TIMERS, Partition
from stream.runtime.metrics import Meter
from stream.scoring.drift_watch import DriftWatch
from stream.state.commit import Commit, CommitStatus
from stream.state.store import Store, retry

log = logging.getLogger(__name__)


class Fenced(RuntimeError):
    """Another worker has claimed a partition this one believed to own: it must stop at once."""


class Committer:
    """The scheduler's side of the store. One instance per worker, on the worker's event loop."""

    def __init__(
        self, settings: Settings, store: Store, assignment: Assignment, meter: Meter, drift: DriftWatch
    ) -> None:
        self._drift = drift
        self._settings = settings
        self._store = store
        self._assignment = assignment
        self._meter = meter

    def watermark(self, part: Partition) -> int:
        """The partition's watermark in ms, with the wall clock's help while there is nothing left to read."""
        return watermark_of(
            *part.clock, self._settings.disorder_ms, now_ms=part.done_ms, caught_up=part.is_done
        )

    def commit_of(
        self, part: Partition, offsets: Mapping[str, tuple[int, int]], outcome: BatchResult
    ) -> Commit:
        """The commit of an outcome, as of now."""
        return Commit(
            part.number, part.epoch, offsets, outcome, self.watermark(part), wall_clock_ms(), lost=part.lost
        )

    async def states(self, wanted: Sequence[tuple[Partition, set[str]]]) -> list[dict[str, Visitor | None]]:
        """States of the visitors per partition, from the cache or from the store."""
        found: list[dict[str, Visitor | None]] = []
        missing: dict[int, list[str]] = {}
        for part, users in wanted:
            known: dict[str, Visitor | None] = dict(part.known(users))
            unknown = [user for user in users if user not in known]
            if unknown:
                missing[part.number] = unknown
            found.append(known)
        if missing:
            loaded = await retry(self._meter, lambda: self._store.load(missing))
            for (part, _), known in zip(wanted, found, strict=True):
                if part.number in missing:
                    known.update(zip(missing[part.number], loaded[part.number], strict=True))
        return found

    async def due(self, parts: Sequence[Partition], limit: int) -> dict[int, list[tuple[str, int]]]:
        """See `stream.state.store.Store.due`."""
        return await retry(self._meter, lambda: self._store.due([part.number for part in parts], limit))

    async def names(self, wanted: Mapping[int, Collection[str]]) -> dict[int, dict[str, str]]:
        """See `stream.state.store.Store.names`."""
        return await retry(self._meter, lambda: self._store.names(wanted))

    async def visitor_ids(self, p: int) -> list[str]:
        """See `stream.state.store.Store.visitor_ids`."""
        return await retry(self._meter, lambda: self._store.visitor_ids(p))

    async def commit(self, parts: Sequence[Partition], commits: Sequence[Commit]) -> list[bool]:
        """Write the commits and draw the consequences; says which of them are in the store now.

        Raises `Fenced` if this worker turns out to be a zombie.
        """
        if not commits:
            return []
        statuses = await retry(self._meter, lambda: self._store.commit(commits))
        behind: list[Partition] = []
        for part, commit, status in zip(parts, commits, statuses, strict=True):
            self._meter.count_status(status)
            if status in (CommitStatus.APPLIED, CommitStatus.REPEATED):
                self._adopt(part, commit)
            elif not self._owns(part):
                continue  # revoked or claimed anew meanwhile: its records are the new owner's
            elif status is CommitStatus.FENCED:
                raise Fenced(f"partition {part.number} was claimed by another worker")
            else:
                log.warning(
                    "partition %d: Redis answers %s, reading again from what it has", part.number, status
                )
                behind.append(part)
        if behind:
            await self._assignment.rewind(behind)
        return [status in (CommitStatus.APPLIED, CommitStatus.REPEATED) for status in statuses]

    def _adopt(self, part: Partition, commit: Commit) -> None:
        cache_limit = max(1, self._settings.cache_visitors // max(1, len(self._assignment.partitions)))
        part.adopt(commit, now_s=time.monotonic(), cache_limit=cache_limit)
        prediction_results = commit.outcome.prediction_results
        self._meter.count_alerts(prediction_results.alerts)
        self._drift.learn(prediction_results, at_ms=commit.outcome.clock.max_event_ms)
        if commit.outcome.letters or prediction_results.alerts:
            self._meter.outbox_filled(part.number)
        if self._owns(part):
            self._assignment.kafka.note_applied(
                {
                    (topic, part.number): end
                    for topic, (_, end) in commit.offsets.items()
                    if topic != TIMERS and end >= 0
                }
            )

    def _owns(self, part: Partition) -> bool:
        return self._assignment.partitions.get(part.number) is part
