"""Commits without new events: timers that the watermark has passed, and partitions at rest."""

import time
from collections.abc import Sequence

from stream.batch.result import BatchResult, Change
from stream.batch.step import StepSettings, fire_deadlines
from stream.components.component import Fired
from stream.partitions.committer import Committer, Pending
from stream.partitions.component_steps import ComponentSteps
from stream.partitions.partition import Partition, timer_keys
from stream.registry import AnyComponent, Registry
from stream.scoring.slot_steps import SlotSteps

DUE_LIMIT = 500
VERIFY_S = 2.0

Due = Sequence[tuple[Partition, list[str]]]
"""Partitions with ids of the subjects whose timers were passed."""


class Timers:
    """Fires timers of every kind. One instance per worker, on the worker's event loop."""

    def __init__(
        self,
        registry: Registry,
        settings: StepSettings,
        committer: Committer,
        steps: ComponentSteps,
        slots: SlotSteps,
    ) -> None:
        self._settings = settings
        self._committer = committer
        self._steps = steps
        self._slots = slots
        self._gate = registry.gate
        self._keys = timer_keys(registry)
        self._owners = dict(registry.timers())

    async def fire_due(self, parts: Sequence[Partition]) -> bool:
        """Fire the timers that the watermark has passed; whether there may be more of them."""
        is_more = False
        for kind in self._keys:
            ready = [
                part
                for part in parts
                if (due_ms := part.next_due_ms[kind]) is not None and due_ms < self._committer.watermark(part)
            ]
            if ready:
                fired, is_full = await self._take(kind, ready)
                is_more = is_more or is_full
                await self._fire(kind, fired)
        return is_more

    async def _take(self, kind: str, parts: Sequence[Partition]) -> tuple[Due, bool]:
        """Subjects whose timers were passed, and whether there were more than fit."""
        due = await self._committer.lowest(self._keys[kind], parts, DUE_LIMIT)
        fired: list[tuple[Partition, list[str]]] = []
        is_full = False
        for part in parts:
            watermark_ms = self._committer.watermark(part)
            ids = [id_ for id_, at_ms in due[part.number] if at_ms < watermark_ms]
            later = [at_ms for _, at_ms in due[part.number] if at_ms >= watermark_ms]
            part.next_due_ms[kind] = later[0] if later else None
            if len(ids) == DUE_LIMIT:
                part.next_due_ms[kind] = due[part.number][-1][1]
                is_full = True
            if ids:
                fired.append((part, ids))
        return fired, is_full

    async def _fire(self, kind: str, fired: Due) -> None:
        owner = self._owners.get(kind)
        results = await (self._fire_visitors(fired) if owner is None else self._fire_of(owner, kind, fired))
        await self._committer.commit(
            [
                Pending(part, part.timer_offsets(), result)
                for (part, _), result in zip(fired, results, strict=True)
            ]
        )

    async def _fire_visitors(self, fired: Due) -> list[BatchResult]:
        states = await self._committer.visitors([(part, set(users)) for part, users in fired])
        results = [
            fire_deadlines(part.clock, self._committer.watermark(part), users, visitors, self._settings)
            for (part, users), visitors in zip(fired, states, strict=True)
        ]
        for (part, _), result in zip(fired, results, strict=True):
            self._slots.judge_silence(result)
            self._slots.let_go(part.waiting, result)
            self._slots.settle(part.number, part.states, result)
            self._gate.conclude(part.number, part.states, result)
        await self._steps.apply([(part, result) for (part, _), result in zip(fired, results, strict=True)])
        return results

    async def _fire_of(self, component: AnyComponent, kind: str, fired: Due) -> list[BatchResult]:
        values = await self._committer.values(component, fired)
        results = []
        for (part, ids), known in zip(fired, values, strict=True):
            result = BatchResult(part.clock)
            result.add(component.name, Change(timers={kind: dict.fromkeys(ids, 0)}))
            passed = Fired(kind, ids, self._committer.watermark(part), known)
            result.add(component.name, component.fire(part.states[component.name], passed))
            self._steps.forget(part, result)
            results.append(result)
        return results


async def verify_resting(parts: Sequence[Partition], committer: Committer) -> None:
    """Commit nothing for partitions that rest: the watermark goes on, and an older Redis is noticed.

    Without it a Redis that came back with the state of a second ago would stay so until the next event.
    """
    now_s = time.monotonic()
    resting = [
        part for part in parts if part.is_touched and not part.buffered and now_s - part.verified_s > VERIFY_S
    ]
    await committer.commit([Pending(part, part.offsets_to({}), BatchResult(part.clock)) for part in resting])
