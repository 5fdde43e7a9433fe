"""What is counted of items in all partitions together, for models that read it."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from contracts.keys import ITEM_COUNTS
from models.next_action.rates import NOTHING, SHOP, Counted, Funnel
from stream.batch.core import PYTHON, Core
from stream.batch.result import BatchResult
from stream.components.items import ITEMS, Items, PartitionItems, read_items
from stream.scoring.companions import SlotCompanion
from stream.state.commit import Conflict
from stream.state.store import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
"""What other workers' partitions have counted is read so often."""
_NOTICE_S = 1.0
"""Whether any model wants to know is looked at so often."""


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

    def counted(self, own: PartitionItems) -> Counted:
        """What everybody did: `own` are the counts of one of our partitions, after its batch.

        May be called, and what it returns, in a model's thread.
        """
        self._is_wanted = True
        theirs, others = self._theirs, [states[ITEMS] for states in list(self._ours.values())]
        ours: list[PartitionItems] = [own, *[each for each in others if each.known is not own.known]]

        def look_up(name: str) -> Funnel:
            views, carts, purchases = theirs.get(name, NOTHING)
            for known, newer, dropped in ours:
                item = newer.get(name) or known.get(name)
                if item is not None and name not in dropped:
                    views += item[0]
                    carts += item[1]
                    purchases += item[2]
            return Funnel(views, carts, purchases)

        shop = look_up(SHOP)
        return lambda name: shop if name == SHOP else look_up(name)

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
