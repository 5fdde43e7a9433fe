"""The scheduler: buffers what the batch consumer delivers and commits it, ready partitions in one round."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence, Set

from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.topics import Topics
from stream.batch.core import Core
from stream.batch.records import Record
from stream.batch.step import StepSettings
from stream.components.component import Source
from stream.partitions.assignment import Assignment
from stream.partitions.committer import Committer, Fenced, SetAside
from stream.partitions.component_steps import ComponentSteps
from stream.partitions.groups import GROUPS, PartitionGroup, hold_groups
from stream.partitions.load import size_of
from stream.partitions.partition import Partition
from stream.partitions.rounds import Batch, Rounds
from stream.partitions.timers import Timers, verify_resting
from stream.registry import Registry
from stream.runtime.metrics import Meter
from stream.scoring.slot_steps import SlotSteps
from stream.state.commit import Conflict

MAX_BUFFERED = 200_000
"""Entries in memory beyond which nothing more is read: enough for a whole batch of each of a dozen
partitions, at 600 bytes an entry."""
MAX_BUFFERED_WAITING = 320_000
"""The same while a partition waits for a topic, whose records may be behind those of others."""
MAX_BYTES = 64 << 20
MAX_BYTES_WAITING = 128 << 20
"""The same of the bytes of their records."""
ROUND_EVENTS = 16_000
"""Events in one round, after which the other partitions of a group wait: 80 ms of the event loop.
A backlog is done in few large commits, since most of the cost is per visitor and commit."""
COMMIT_VISITORS = 8_000
"""Visitors in one commit, about: Redis answers nobody else while it takes 10 us for each."""
BEHIND_EVENTS = 4_000
"""More waiting entries than this are a backlog, not live traffic."""
FILL_S = 2.0
"""In a backlog a partition waits for a whole batch no longer than this."""
ROUND_GAP_S = 0.01
"""Rounds begin this far apart at least: a commit of ten events costs little more than one of one. Less than
the pace of fetches (`stream.consumer.pacing`): a delivery that has just missed a round waits for the next."""
QUEUED_GAP_S = 0.25
"""In a backlog, what waits in topics that come before events is applied this often: in fewer commits."""
TICK_S = 0.5


class Scheduler:
    """Turns delivered records into commits. One instance per worker, on the worker's event loop."""

    def __init__(
        self,
        settings: Settings,
        core: Core,
        registry: Registry,
        committer: Committer,
        slots: SlotSteps,
        assignment: Assignment,
        meter: Meter,
    ) -> None:
        self._settings = settings
        self._core = core
        topics = Topics(settings.topic_prefix)
        self._topics = registry.topic_components(topics)
        step_settings = StepSettings.of(
            settings,
            keeps_events=registry.keeps_events,
            visitor_fields=tuple(registry.visitor_fields.values()),
            gate=registry.gate,
        )
        self._steps = ComponentSteps(registry, topics, committer, meter)
        self._rounds = Rounds(step_settings, core, registry, committer, self._steps, slots, meter)
        self._timers = Timers(registry, step_settings, committer, self._steps, slots)
        self._committer = committer
        self._assignment = assignment
        self._meter = meter
        self._groups = [PartitionGroup(remainder) for remainder in range(GROUPS)]
        self._stopping = False
        self._delivered_s = 0.0

    @property
    def _partitions(self) -> dict[int, Partition]:
        return self._assignment.partitions

    # -- delivery --------------------------------------------------------------------------------------

    async def offer(
        self, topic: str, number: int, records: Sequence[Record], asked: int, end: int, high: int
    ) -> None:
        """Take a run of consecutive records of one topic partition; waits while too much is buffered.

        What lies between the offsets `asked` and `end` and is not among the records is not in the log.
        """
        while self._full() and not self._stopping:
            self._assignment.space.clear()
            for group in self._groups:  # there will be no more for those that wait for a whole batch
                group.wake.set()
            await self._assignment.space.wait()
        part = self._partitions.get(number)
        if part is None or end <= part.fetched[topic]:
            return
        expected = part.fetched[topic]
        if records and records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
        first = records[0].offset if records else end
        if first > expected and not await self._assignment.accept_gap(part, topic, asked, first):
            return
        self._delivered_s = time.monotonic()
        part.note_read(topic, len(records), size_of(records))
        component = self._topics.get(topic)
        if component is not None:
            source = Source(topic, number, wall_clock_ms())
            part.queues[topic].extend(component.read(records, source))
        else:
            part.buffers[topic].extend(
                self._core.read_records(
                    records,
                    topic=topic,
                    partition=number,
                    partitions=self._settings.partitions,
                    default_currency=self._settings.currency,
                    now_ms=wall_clock_ms(),
                )
            )
        part.fetched[topic] = end
        part.high[topic] = max(high, part.fetched[topic])
        self._groups[part.place % GROUPS if self.is_behind else 0].wake.set()

    @property
    def _buffered(self) -> int:
        # Asked with every run of records, a handful each in live traffic.
        return sum([len(buffer) for part in self._partitions.values() for buffer in part.buffers.values()])

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that it is a backlog, not live traffic."""
        return self._buffered > BEHIND_EVENTS

    def _full(self) -> bool:
        parts = self._partitions.values()
        buffered = self._buffered + sum([part.queued for part in parts])
        size = sum([part.size for part in parts])
        if buffered < MAX_BUFFERED and size < MAX_BYTES:
            return False
        is_waiting = any(part.waiting_since_s for part in parts)
        return buffered >= MAX_BUFFERED_WAITING or size >= MAX_BYTES_WAITING or not is_waiting

    # -- rounds ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit rounds until `drain`; raises `committer.Fenced` if this worker is a zombie."""
        await asyncio.gather(*[self._run_group(group) for group in self._groups])

    async def _run_group(self, group: PartitionGroup) -> None:
        ticked_s = time.monotonic()
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):  # `wait_for` of Python 3.11 may swallow a cancellation
                    await group.wake.wait()
            await asyncio.sleep(group.begun_s + ROUND_GAP_S - time.monotonic())
            group.begun_s = time.monotonic()
            group.wake.clear()
            # In live traffic all of them in one round: two that take turns on one event loop are each as long
            # as both. A lone group leaves the others to Redis, which is busy with long commits in a backlog.
            groups = [group] if self.is_behind else self._groups
            async with hold_groups(groups):
                if await self._apply_round(groups):
                    group.wake.set()  # there may be more than one batch
            if time.monotonic() - ticked_s >= TICK_S:  # also under load that never ends
                ticked_s = time.monotonic()
                async with hold_groups([group]):
                    await self._tick(group)

    async def drain(self) -> None:
        """Commit what is buffered, then stop."""
        self._stopping = True
        self._assignment.space.set()
        for group in self._groups:
            group.wake.set()
            async with hold_groups([group]):
                while await self._apply_round([group]):
                    pass

    async def _tick(self, group: PartitionGroup) -> None:
        """What is done without new events."""
        if await self._guard([group], self._timers.fire_due(group.of(self._partitions))):
            group.wake.set()
        await verify_resting(group.of(self._partitions), self._committer)

    async def _apply_round(self, groups: Sequence[PartitionGroup]) -> bool:
        """Commit one batch of every partition whose turn it is; False if there was nothing to do."""
        return await self._guard(groups, self._apply_ready(groups))

    async def _guard(self, groups: Sequence[PartitionGroup], steps: Awaitable[bool]) -> bool:
        """What steps say, or True if a value that somebody else wrote stopped them.

        Then it is out of the way, and what was taken of all partitions is read again.
        """
        try:
            return await steps
        except Fenced:
            raise
        except SetAside:
            pass
        except Conflict as exc:  # of something that was looked up
            self._assignment.block(exc.partitions, backs_off=True)  # at each try the others read again
        except Exception:  # the boundary of what is stored: whatever a step makes of it
            if not await self._committer.set_aside_spoiled(self._parts_of(groups)):
                raise
        await self._assignment.rewind(self._parts_of(groups))
        return True

    async def _apply_ready(self, groups: Sequence[PartitionGroup]) -> bool:
        await self._apply_queued(groups)
        await self._steps.move_on([part for part in self._parts_of(groups) if not part.buffered])
        ready = self._worthwhile([part for part in self._parts_of(groups) if part.buffered])
        await self._assignment.probe_ends(ready, self._settings.disorder_ms)
        taken = self._take(ready)
        taken += self._take_waiting(groups, {batch.part.number for batch in taken})
        if not taken:
            return False
        await self._rounds.run(taken)
        self._assignment.space.set()
        return True

    async def _apply_queued(self, groups: Sequence[PartitionGroup]) -> None:
        """Apply what waits in topics that come before events, but not what is delivered meanwhile.

        Or a topic in which there is always something new would keep events waiting for ever. A partition that
        is claimed anew meanwhile has everything applied that was read with the claim.
        """
        ends: dict[Partition, dict[str, int]] = {}
        now_s, gap_s = time.monotonic(), QUEUED_GAP_S if self.is_behind else 0.0
        while queued := [
            part
            for part in self._parts_of(groups)
            if now_s - part.queue_taken_s >= gap_s
            and part.is_queued(ends.setdefault(part, dict(part.fetched)))
        ]:
            await self._steps.apply_queued(queued)
            self._assignment.space.set()
        for part in ends:
            part.queue_taken_s = now_s

    def _parts_of(self, groups: Sequence[PartitionGroup]) -> list[Partition]:
        return [part for group in groups for part in group.of(self._partitions)]

    def _worthwhile(self, ready: Sequence[Partition]) -> Sequence[Partition]:
        """In a backlog, those of which a whole batch was read, or of which there is less than that anyway.

        All of them once nothing more fits into memory: then no batch gets larger by waiting.
        """
        if not self.is_behind or self._stopping or self._full():
            return ready
        since_s = time.monotonic() - FILL_S
        return [
            part
            for part in ready
            if not part.buffered < self._limit_of(part) <= part.known or part.taken_s < since_s
        ]

    def _limit_of(self, part: Partition) -> int:
        """Most events in the next commit of a partition, if their visitors are as many as in the last."""
        limit = self._settings.batch_events
        return min(limit, int(COMMIT_VISITORS / part.density)) if part.density else limit

    def _take(self, ready: Sequence[Partition]) -> list[Batch]:
        """A batch of each partition, those first whose turn was longest ago, until the round is full."""
        now_s = time.monotonic()
        taken: list[Batch] = []
        room = ROUND_EVENTS
        for part in sorted(ready, key=lambda part: part.taken_s):
            limit = self._limit_of(part)
            if taken and min(part.buffered, limit) > room:
                break
            entries, offsets = part.take(limit, self._awaited(part, now_s), self._core.merge_heads)
            if entries:
                part.taken_s = now_s
                room -= len(entries)
                taken.append(Batch(part, entries, offsets))
        return taken

    def _take_waiting(self, groups: Sequence[PartitionGroup], taken: Set[int]) -> list[Batch]:
        """Batches without entries of the other partitions in which visitors wait for scores.

        Not in a backlog, nor at the end: events come first.
        """
        if self.is_behind or self._stopping:
            return []
        return [
            Batch(part, [], part.timer_offsets())
            for part in self._parts_of(groups)
            if part.waiting and part.number not in taken
        ]

    def _awaited(self, part: Partition, now_s: float) -> set[str]:
        awaited, given_up = part.awaited_topics(
            now_s=now_s, quiet_s=now_s - self._delivered_s, wait_s=self._settings.merge_wait_ms / 1_000
        )
        if given_up:
            self._meter.merge_timeouts.inc()
        return awaited
