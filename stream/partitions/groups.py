"""The groups of a worker's partitions, which take turns: Redis works on one while the next is computed."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from stream.partitions.partition import Partition

GROUPS = 3


class PartitionGroup:
    """Every `GROUPS`-th partition. Redis works on the commits of one group while the next is computed."""

    def __init__(self, remainder: int) -> None:
        self.wake = asyncio.Event()
        self.round = asyncio.Lock()
        """Held from taking entries to the store's answer: the next batch starts from what this one stored."""
        self.begun_s = 0.0
        """When the last round began (monotonic clock)."""
        self._remainder = remainder

    def of(self, partitions: Mapping[int, Partition]) -> list[Partition]:
        """Those of the partitions that are in this group."""
        return [part for part in partitions.values() if part.place % GROUPS == self._remainder]


@asynccontextmanager
async def hold_groups(groups: Sequence[PartitionGroup]) -> AsyncIterator[None]:
    """Hold the rounds of these groups, which must come in their order."""
    async with AsyncExitStack() as held:
        for group in groups:
            await held.enter_async_context(group.round)
        yield
