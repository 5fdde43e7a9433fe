"""The steps of components in a worker: batches, timers and the topics that components apply themselves."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.topics import Topics
from stream.batch.result import NO_CHANGE, BatchResult, Change
from stream.components.component import Applied, TopicRecords
from stream.partitions.committer import Committer, Pending
from stream.partitions.partition import Partition
from stream.registry import AnyComponent, AnyTopicComponent, Registry
from stream.runtime.metrics import Meter

RECORDS_AT_ONCE = 1_000
"""Records of a component's own topic in one commit at most."""

Results = Sequence[tuple[Partition, BatchResult]]


class ComponentSteps:
    """Lets the registered components add to results. One instance per worker, on the worker's event loop."""

    def __init__(self, registry: Registry, topics: Topics, committer: Committer, meter: Meter) -> None:
        self._components = tuple(registry.components.values())
        self._topics = registry.topic_components(topics)
        self._committer = committer
        self._meter = meter

    async def apply(self, results: Results) -> None:
        """Let every component add what batches, or deadlines of visitors, change."""
        for component in self._components:
            if component.values is None:
                for part, result in results:
                    apply_component(component, part.states, result, {})
                continue
            wanted = [
                (part, component.subjects(applied_of(result, {}, _state_of(component, part.states, result))))
                for part, result in results
            ]
            values = await self._committer.values(component, wanted)
            for (part, result), found in zip(results, values, strict=True):
                apply_component(component, part.states, result, found)
        for part, result in results:
            self.forget(part, result)

    async def apply_queued(self, parts: Sequence[Partition]) -> None:
        """Commit a batch of each topic that comes before events, of every partition that has any of it."""
        for topic, component in self._topics.items():
            taken = [
                (part, *part.take_queued(topic, RECORDS_AT_ONCE))
                for part in parts
                if part.queued_end(topic) is not None
            ]
            if not taken:
                continue
            results = await self._apply_records(component, [(part, items) for part, items, _ in taken])
            pending = [
                Pending(part, part.offsets_to({topic: end}), result)
                for (part, _, end), result in zip(taken, results, strict=True)
            ]
            stored = await self._committer.commit(pending)
            for each, is_stored in zip(pending, stored, strict=True):
                if is_stored:
                    self._meter.count_records(each.result)

    async def move_on(self, parts: Sequence[Partition]) -> None:
        """Commit the offsets of partitions without buffered events, if more was read than is stored."""
        ends = [(part, part.read_ends()) for part in parts]
        await self._committer.commit([
            Pending(part, part.offsets_to(end), BatchResult(part.clock)) for part, end in ends if end
        ])  # fmt: skip

    async def _apply_records(
        self, component: AnyTopicComponent, taken: Sequence[tuple[Partition, list[Any]]]
    ) -> list[BatchResult]:
        wanted = [(part, component.record_subjects(items)) for part, items in taken]
        values = await self._committer.values(component, wanted)
        looked_up = await asyncio.gather(*[
            component.look_up(part.states[component.name], items, self._committer.reader(part))
            for part, items in taken
        ])  # fmt: skip
        results = []
        for (part, items), known, found in zip(taken, values, looked_up, strict=True):
            result = BatchResult(part.clock)
            records = TopicRecords(items, part.clock, known, found)
            _add(result, component, component.apply_records(part.states[component.name], records))
            self.forget(part, result)
            results.append(result)
        return results

    def forget(self, part: Partition, result: BatchResult) -> None:
        """Let every component remove what else it has of the subjects that are forgotten."""
        for subject in result.forgotten:  # also of those that a component adds here
            for component in self._components:
                state = _state_of(component, part.states, result)
                _add(result, component, component.forget(state, subject))


def apply_component(
    component: AnyComponent, states: Mapping[str, Any], result: BatchResult, values: Mapping[str, Any]
) -> None:
    """Let a component add what a batch changes; `states` are those of the partition before it."""
    state = _state_of(component, states, result)
    _add(result, component, component.apply(state, applied_of(result, values, state)))


def applied_of(result: BatchResult, values: Mapping[str, Any], state: Any) -> Applied[Any]:
    """A result as components see it, with its state and its values of the subjects it asked for."""
    return Applied(
        result.clock,
        result.counts,
        result.visitors,
        result.new_events,
        values,
        result.reports,
        result.before,
        state,
    )


def _state_of(component: AnyComponent, states: Mapping[str, Any], result: BatchResult) -> Any:
    """A component's state, with what the result has changed of it."""
    change = result.changes.get(component.name, NO_CHANGE)
    return states[component.name] if change.state is None else change.state


def _add(result: BatchResult, component: AnyComponent, change: Change) -> None:
    if change is not NO_CHANGE:
        result.add(component.name, change)
