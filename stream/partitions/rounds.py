"""A round: one batch each of several partitions, from their entries to what Redis says of the commits."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from contracts.clock import wall_clock_ms
from stream.batch.core import Core
from stream.batch.entries import Entry
from stream.batch.result import BatchResult
from stream.batch.step import Screen, StepSettings
from stream.partitions.committer import Committer, Pending
from stream.partitions.component_steps import ComponentSteps
from stream.partitions.partition import Partition
from stream.registry import Registry
from stream.runtime.metrics import Meter
from stream.scoring.slot_steps import Answers, SlotSteps
from stream.scoring.slots import shop_of
from stream.scoring.waiting import Queue

COMMITS_AT_ONCE = 3
"""Commits sent together: Redis works on them while those of the next partitions are made."""

Offsets = dict[str, tuple[int, int]]
"""Per topic the stored offset and the one after the commit."""


class Batch(NamedTuple):
    """What a round takes from one partition; without entries it is there for those who wait for scores."""

    part: Partition
    entries: list[Entry]
    offsets: Offsets


class Rounds:
    """Applies, scores and commits the batches of a round."""

    def __init__(
        self,
        settings: StepSettings,
        core: Core,
        registry: Registry,
        committer: Committer,
        steps: ComponentSteps,
        slots: SlotSteps,
        meter: Meter,
    ) -> None:
        self._settings = settings
        self._core = core
        self._components = tuple(registry.components.values())
        self._gate = registry.gate
        self._committer = committer
        self._steps = steps
        self._slots = slots
        self._meter = meter

    async def run(self, taken: Sequence[Batch]) -> None:
        """One round; raises `stream.partitions.committer.Fenced` if this worker is a zombie."""
        applied = await self._apply(taken)
        asked = await self._ask(taken, applied)
        batches, results, answers = _worth_a_commit(taken, applied, asked)
        calls: list[asyncio.Task[None]] = []
        try:
            for at in range(0, len(batches), COMMITS_AT_ONCE):
                mine = slice(at, at + COMMITS_AT_ONCE)
                for batch, result, found in zip(batches[mine], results[mine], answers[mine], strict=True):
                    self._slots.take(result, found)
                    self._gate.conclude(batch.part.number, batch.part.states, result)
                calls.append(asyncio.create_task(self._commit(batches[mine], results[mine])))
                await asyncio.sleep(0)  # on to where it waits for Redis
            await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()

    async def _apply(self, taken: Sequence[Batch]) -> list[BatchResult]:
        """What each batch comes to; without entries, nothing."""
        batches = [batch for batch in taken if batch.entries]
        results = iter(await self._apply_entries(batches) if batches else ())
        return [next(results) if batch.entries else BatchResult(batch.part.clock) for batch in taken]

    async def _apply_entries(self, batches: Sequence[Batch]) -> list[BatchResult]:
        wanted = [(b.part, self._core.users_of(b.entries)) for b in batches]
        for (part, users), batch in zip(wanted, batches, strict=True):
            part.density = len(users) / len(batch.entries)
        states = await self._committer.visitors(wanted)
        results = [
            self._core.apply_batch(part.clock, entries, visitors, self._settings, screens=self._screens(part))
            for (part, entries, _), visitors in zip(batches, states, strict=True)
        ]
        for batch, result in zip(batches, results, strict=True):
            self._slots.judge(result)
            self._slots.settle(batch.part.number, batch.part.states, result)
            self._gate.begin(batch.part.number, batch.part.states, result)
        await self._steps.apply(
            [(batch.part, result) for batch, result in zip(batches, results, strict=True)]
        )
        return results

    def _screens(self, part: Partition) -> list[Screen]:
        found = [component.screen(part.states[component.name]) for component in self._components]
        return [screen for screen in found if screen is not None]

    async def _ask(self, batches: Sequence[Batch], results: Sequence[BatchResult]) -> list[Answers]:
        """What the model slots say of the visitors of each result.

        A visitor of whom a slot can make nothing would keep all others from being scored.
        """
        shops = [shop_of(batch.part.states, result) for batch, result in zip(batches, results, strict=True)]
        now_ms = wall_clock_ms()
        late_ms = now_ms - min(
            [batch.entries[0].broker_ms for batch in batches if batch.entries], default=now_ms
        )
        queues = [Queue(batch.part.waiting, batch.part.visitors.known) for batch in batches]
        answers = await self._slots.ask(results, shops, late_ms, queues)
        for place, user_id in self._slots.suspects():
            await self._committer.require_sound(batches[place].part, user_id)
        return answers

    async def _commit(self, batches: Sequence[Batch], results: Sequence[BatchResult]) -> None:
        pending = [
            Pending(part, offsets, result)
            for (part, _, offsets), result in zip(batches, results, strict=True)
        ]
        stored = await self._committer.commit(pending)
        done_ms = wall_clock_ms()
        for (_, entries, _), result, is_stored in zip(batches, results, stored, strict=True):
            if is_stored:
                self._meter.count_batch(entries, result, now_ms=done_ms)


def _worth_a_commit(
    batches: Sequence[Batch], results: Sequence[BatchResult], answers: Sequence[Answers]
) -> tuple[list[Batch], list[BatchResult], list[Answers]]:
    """Those with entries, and those of which somebody who waited was scored."""
    kept = [place for place, batch in enumerate(batches) if batch.entries or answers[place].late]
    return [batches[at] for at in kept], [results[at] for at in kept], [answers[at] for at in kept]
