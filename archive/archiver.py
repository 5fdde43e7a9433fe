"""The archiver: reads on where the archive ends, writes what it read, merges, and clears the deleted."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from archive.announcing import EVERY_S as ANNOUNCE_S
from archive.announcing import Announcer
from archive.deletions import Deletions
from archive.intake import FlushLimits, Intake
from archive.keeper import ArchiveTaken, Keeper, open_keeper
from archive.metrics import ArchiveMetrics
from archive.topics_reader import TopicsReader, UnusableTopics
from contracts.settings import Settings
from contracts.topics import DELETIONS, archived_topics
from sources.archive.stores import ArchiveError, ArchiveStore

RETRY_S = 5.0
LOOK_FOR_MERGES_S = 30.0
CLEAR_AFTER_S = 10.0
"""A clearing begins so long after the last one, or as long as that took if that is longer."""
_ALIVE_S = 15.0
_log = logging.getLogger(__name__)


class Archiver:
    """One archive, followed until told to stop. `trouble` says what keeps it from its work."""

    def __init__(
        self,
        settings: Settings,
        store: ArchiveStore,
        metrics: ArchiveMetrics,
        announcer: Announcer,
        *,
        limits: FlushLimits,
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._announcer = announcer
        self._limits = limits
        self._secret = settings.deletion_secret.get_secret_value()
        self._seen_s = time.monotonic()
        self._merge_at_s = float("-inf")
        self._cleared_s = float("-inf")
        self._clear_pause_s = CLEAR_AFTER_S
        self._keeper: Keeper | None = None
        self.trouble = "reading the deletions"

    def is_alive(self) -> bool:
        """Whether the event loop turns; it does while files are written, in a thread."""
        return time.monotonic() - self._seen_s < _ALIVE_S

    async def run(self, stopping: asyncio.Event, *, once: bool = False) -> None:
        """Follow until told to stop, or `once` up to what is there now.

        Whatever fails is tried again from the newest manifest, as after a kill; `once` it is raised. Raises
        `ArchiveTaken` where another process writes the archive.
        """
        looking = asyncio.create_task(self._look_alive())
        try:
            while not stopping.is_set():
                try:
                    await self._follow(stopping, once=once)
                    return
                except ArchiveTaken:
                    raise
                except Exception as exc:  # the boundary: stores fail in the words of many libraries
                    if once:
                        raise
                    self.trouble = str(exc)
                    is_expected = isinstance(exc, (KafkaError, OSError, ArchiveError, UnusableTopics))
                    _log.warning("the archive waits: %s", exc, exc_info=not is_expected)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RETRY_S):
                            await stopping.wait()
        finally:
            looking.cancel()

    async def _follow(self, stopping: asyncio.Event, *, once: bool) -> None:
        reader = await TopicsReader.open(self._settings)
        try:
            deletions = await self._read_deletions(reader)
            keeper = await asyncio.to_thread(open_keeper, self._store, archived_topics(), reader.partitions)
            self._keeper = keeper
            await self._announcer.tell(keeper.manifest)
            bounds = await reader.bounds((*archived_topics(), DELETIONS))
            offsets = self._starts(keeper, bounds)
            intake = Intake(offsets, self._limits, currency=self._settings.currency)
            reader.begin(
                {(topic, p): offset for topic, ends in offsets.items() for p, offset in enumerate(ends)}
                | {(DELETIONS, p): offset for p, offset in enumerate(deletions.reached)}
            )
            goal = {place: end for place, (_, end) in bounds.items()}
            self.trouble = ""
            await self._go_on(stopping, reader, keeper, intake, deletions, goal if once else None)
        finally:
            self._keeper = None
            await reader.close()

    async def _go_on(
        self,
        stopping: asyncio.Event,
        reader: TopicsReader,
        keeper: Keeper,
        intake: Intake,
        deletions: Deletions,
        goal: Mapping[tuple[str, int], int] | None,
    ) -> None:
        announced_s = time.monotonic()
        while True:
            for topic, partition, records, reached in await reader.fetch():
                if topic == DELETIONS:
                    deletions.take(partition, records, reached)
                else:
                    intake.take(topic, partition, records, reached)
            lags = reader.lags()
            due = deletions.due(keeper.manifest.deletions)
            self._metrics.show_lag(lags, len(due))
            is_end = stopping.is_set() or (goal is not None and reader.has_reached(goal))
            if intake.is_due or (is_end and not intake.is_empty):
                await self._flush(keeper, intake, deletions)
            if due and (goal is not None or time.monotonic() - self._cleared_s >= self._clear_pause_s):
                await self._clear(keeper, deletions)
            if stopping.is_set():
                return
            if is_end or time.monotonic() >= self._merge_at_s:
                await self._merge(keeper, caught_up=is_end or not any(lags.values()))
                if is_end and self._merge_at_s > time.monotonic():
                    return
            if time.monotonic() - announced_s > ANNOUNCE_S:
                await self._announcer.tell(keeper.manifest)
                announced_s = time.monotonic()

    async def _flush(self, keeper: Keeper, intake: Intake, deletions: Deletions) -> None:
        batch = intake.make_batch(deletions.cuts, self._secret)
        size_bytes = await asyncio.to_thread(keeper.add, batch.frames, batch.offsets)
        await asyncio.to_thread(keeper.drop_retired)
        self._merge_at_s = float("-inf")
        rows = {dataset: len(frame) for dataset, frame in batch.frames.items()}
        self._metrics.count_flush(rows, batch.left_out, size_bytes)
        self._metrics.show_files(keeper.manifest)

    async def _merge(self, keeper: Keeper, *, caught_up: bool) -> None:
        """Do one merge that is due; if there is none, look again in a while or after the next batch."""
        merge = await asyncio.to_thread(keeper.merge_next, caught_up=caught_up)
        if merge is None:
            self._merge_at_s = time.monotonic() + LOOK_FOR_MERGES_S
            return
        self._metrics.count_merge()
        self._metrics.show_files(keeper.manifest)

    async def _clear(self, keeper: Keeper, deletions: Deletions) -> None:
        began_s = time.monotonic()
        cuts = deletions.due(keeper.manifest.deletions)
        cleared = await asyncio.to_thread(keeper.clear, cuts, self._secret, tuple(deletions.reached))
        self._cleared_s, self._merge_at_s = time.monotonic(), float("-inf")
        self._clear_pause_s = max(CLEAR_AFTER_S, self._cleared_s - began_s)
        self._metrics.count_cleared(len(cleared))
        _log.info(
            "%d deleted visitors: %d files searched, %d rows removed, %d left, in %.1f s",
            len(cleared),
            max(one.files for one in cleared),
            sum(one.removed for one in cleared),
            sum(one.left for one in cleared),
            self._cleared_s - began_s,
        )
        await self._announcer.tell(keeper.manifest)

    async def _read_deletions(self, reader: TopicsReader) -> Deletions:
        """All deletions that there are, before the first event."""
        deletions = Deletions(reader.partitions, self._secret)
        bounds = await reader.bounds([DELETIONS])
        reader.begin({place: first for place, (first, _) in bounds.items()})
        ends = {place: end for place, (_, end) in bounds.items()}
        for (_, partition), (first, _) in bounds.items():
            deletions.take(partition, (), first)
        while not reader.has_reached(ends):
            for _, partition, records, reached in await reader.fetch():
                deletions.take(partition, records, reached)
        return deletions

    def _starts(
        self, keeper: Keeper, bounds: Mapping[tuple[str, int], tuple[int, int]]
    ) -> dict[str, tuple[int, ...]]:
        """Where to go on in each topic; raises `ArchiveError` for another log than the archive is of."""
        starts = {}
        for topic in archived_topics():
            ends = []
            for p, offset in enumerate(keeper.manifest.offsets[topic]):
                first, end = bounds[topic, p]
                if offset > end:
                    raise ArchiveError(
                        f"{topic}/{p} ends at {end}, and the archive has read it up to {offset}: it is the "
                        "archive of another log, or Kafka lost records; begin another one in another folder"
                    )
                if offset < first and offset:
                    self._metrics.count_lost(first - offset)
                    _log.error(
                        "%s/%d: Kafka deleted %d records before they were archived (retention.ms)",
                        topic, p, first - offset,
                    )  # fmt: skip
                ends.append(max(offset, first))
            starts[topic] = tuple(ends)
        return starts

    async def _look_alive(self) -> None:
        while True:
            self._seen_s = time.monotonic()
            await asyncio.sleep(1.0)
