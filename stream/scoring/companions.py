"""Companions of model slots: what goes along with a slot in every round, registered with it."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from stream.batch.result import BatchResult
from stream.components.component import Component
from stream.state.store import Store


class SlotCompanion:
    """The base of companions: every step does nothing unless it is overridden. Steps run on the event loop.

    A step that raises makes its slot rest; events go on being counted.
    """

    component: Component[Any, Any] | None = None
    """What it keeps per partition, if anything: registered with the slot."""

    def begin(self, version: str) -> None:
        """The slot's model, of this version, is asked next."""

    def settle(self, partition: int, states: Mapping[str, Any], result: BatchResult, version: str) -> None:
        """Add to a result whose visitors were judged; `states` are those of components before it."""

    async def watch(self, store: Store, owned: Callable[[], Collection[int]]) -> None:
        """Whatever it does beside the rounds, until cancelled; `owned` are the partitions of this worker."""
        await asyncio.Event().wait()
