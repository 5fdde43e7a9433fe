"""Commits of results, as a worker makes them, for tests of what takes commits."""

from collections.abc import Mapping
from typing import Any

from contracts.settings import Settings
from contracts.visitor import pack_visitors
from stream.batch.result import BatchResult
from stream.partitions.component_steps import apply_component
from stream.partitions.result_writes import ResultWriter, WriteSettings
from stream.registry import Registry, make_registry
from stream.state.commit import Commit

NOTHING_FOUND: Mapping[str, Any] = {"meta": {}, "forgotten": {}}
"""What the claim of a new partition finds."""


class CommitMaker:
    """Makes commits of one installation."""

    def __init__(self, settings: Settings, registry: Registry | None = None) -> None:
        self.registry = make_registry(settings) if registry is None else registry
        self._writer = ResultWriter(self.registry, WriteSettings.of(settings), pack_visitors)

    def states(self, found: Mapping[str, Any] = NOTHING_FOUND) -> dict[str, Any]:
        """States of all components by what a claim found."""
        return {name: component.load(found) for name, component in self.registry.components.items()}

    def apply(self, result: BatchResult, states: Mapping[str, Any]) -> dict[str, Any]:
        """Let components that need no values add to a result; returns their states after it."""
        for component in self.registry.components.values():
            if component.values is None:
                apply_component(component, states, result, {})
        changed = {name: change.state for name, change in result.changes.items() if change.state is not None}
        return {**states, **changed}

    def make(
        self, partition: int, epoch: int, offsets: Mapping[str, tuple[int, int]], result: BatchResult
    ) -> Commit:
        """The commit of a result that components have added to."""
        marks = {"max_event_ms": result.clock.max_event_ms, "broker_ms": result.clock.broker_ms}
        return Commit(partition, epoch, offsets, self._writer.writes_of(result), marks)
