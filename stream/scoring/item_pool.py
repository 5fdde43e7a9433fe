"""What is counted of items in all partitions together, for models that read it."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from redis.exceptions import RedisError

from contracts.key_families import ITEM_COUNTS
from contracts.visitor import Visitor
from models.next_action.rates import NOTHING, RATE_FEATURES, Funnel, rates_of_visitor
from stream.batch.core import PYTHON, Core
from stream.batch.result import BatchResult
from stream.components.items import ITEMS, Items, PartitionItems, read_items
from stream.scoring.companions import SlotCompanion
from stream.state.commit import Conflict
from stream.state.store import Store

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

LOOK_EVERY_S = 30.0
"""What other workers' partitions have counted is read so often."""
_NOTICE_S = 1.0
"""Whether any model wants to know is looked at so often."""


class PooledItems(NamedTuple):
    """The counts of all partitions: those of other workers together, and each of ours."""

    theirs: Mapping[str, Funnel]
    ours: Sequence[PartitionItems]

    def funnel(self, name: str) -> Funnel:
        """What was done of an item, or of the whole shop, in all of them."""
        views, carts, purchases = self.theirs.get(name, NOTHING)
        for known, newer, dropped in self.ours:
            item = newer.get(name) or known.get(name)
            if item is not None and name not in dropped:
                views += item[0]
                carts += item[1]
                purchases += item[2]
        return Funnel(views, carts, purchases)


def rates_of_visitors(visitors: Sequence[Visitor], pooled: Sequence[PooledItems]) -> Floats:
    """`RATE_FEATURES` of live visitors (n, 6), each by the counts as the visitor's partition knows them."""
    rates = [rates_of_visitor(visitor, own.funnel) for visitor, own in zip(visitors, pooled, strict=True)]
    return np.array(rates, dtype=np.float32).reshape(-1, len(RATE_FEATURES))


class ItemPool(SlotCompanion):
    """Pools the partitions. One instance per worker; its steps run on the event loop.

    Our own partitions are known from their first batch on, as of the last one. Those of other workers are
    read only while a model that wants to know is asked, so its first second goes by our own.
    """

    def __init__(self, partitions: int, core: Core = PYTHON) -> None:
        self.component = Items(core)
        self._partitions = partitions
        self._ours: dict[int, Mapping[str, Any]] = {}
        self._theirs: dict[str, Funnel] = {}
        self._is_wanted = False

    def settle(self, partition: int, states: Mapping[str, Any], result: BatchResult, version: str) -> None:  # noqa: ARG002  # nothing of it
        """Note where the states of a partition of ours are: the mapping goes on with the partition."""
        self._ours[partition] = states

    def pooled(self, own: PartitionItems) -> PooledItems:
        """What everybody did: `own` are the counts of one of our partitions, after its batch.

        May be called, and what it returns read, in a model's thread.
        """
        self._is_wanted = True
        others = [states[ITEMS] for states in list(self._ours.values())]
        return PooledItems(self._theirs, (own, *[each for each in others if each.known is not own.known]))

    async def watch(self, store: Store, owned: Callable[[], Collection[int]]) -> None:
        """Read what other workers' partitions have counted, until cancelled."""
        while True:
            while not self._is_wanted:
                await asyncio.sleep(_NOTICE_S)
            self._is_wanted = False
            ours = set(owned())
            self._ours = {p: states for p, states in self._ours.items() if p in ours}
            try:
                await self.read(store, sorted(set(range(self._partitions)) - ours))
            except (RedisError, Conflict) as exc:
                log.info("cannot read what other partitions have counted, retrying later: %s", exc)
            await asyncio.sleep(LOOK_EVERY_S)

    async def read(self, store: Store, partitions: Sequence[int]) -> None:
        """Take what these partitions have counted, in place of what was read before; raises `RedisError`."""
        theirs: dict[str, Funnel] = {}
        for p in partitions:  # one after the other: the loop has other work
            for name, item in read_items(await store.read_hash(p, ITEM_COUNTS)).items():
                theirs[name] = theirs.get(name, NOTHING).joined(item.funnel)
        self._theirs = theirs
