"""How often products, categories and the whole shop were viewed, put into carts and bought in a partition.

Models read it as rates (`models.next_action.rates`), those of all partitions together. It is exact for the
`MOST` items that are kept. One that is dropped, the least viewed of late, counts from nothing if it comes
again: what was done of it before is missing from it, and not from the shop. Of an item of which more than
`LARGEST` was done all counts are halved, so that it goes by about its last so many views.
"""

import logging
from collections.abc import Iterator, Mapping
from heapq import nsmallest
from typing import Any, NamedTuple

from contracts.carts import CART, PURCHASE, REMOVE
from contracts.keys import ITEM_COUNTS
from contracts.visitor import ACTION_TYPES
from models.next_action.item_counts import ItemCounts, pack_counts, read_counts
from models.next_action.rates import NOTHING, SHOP, Funnel, category_name, product_name
from stream.batch.counts import Counts
from stream.batch.result import NO_CHANGE, BatchResult, Change
from stream.components.component import Applied, Component
from stream.state.commit import ClaimRead
from stream.state.writes import RemoveFromHash, SetInHash, Write

log = logging.getLogger(__name__)

ITEMS = "items"
MOST = 10_000
"""Products and categories of which a partition keeps counts; it drops some once there are a quarter more."""
LARGEST = 1 << 20
TTL_S = 90 * 86_400
_DAY_MS = 86_400_000
_FADES_DAYS = 7
"""What was done of an item weighs half as much for each so many days since, when it comes to what to drop."""
_ITEM_BYTES = 260
"""About what the counts of an item take in memory."""
_STAGES = tuple(
    (rank, 1 if rank == CART else 2 if rank == PURCHASE else 0)
    for rank in range(len(ACTION_TYPES))
    if rank != REMOVE
)
"""Ranks of actions that count, and where in a `Funnel`."""


class PartitionItems(NamedTuple):
    """Counts by name, as they were before the last batch that changed any, and what it changed.

    In `newer` None stands for an item that was dropped. The step after it, which comes once the batch is
    stored, puts it into `known`. Nothing else is ever changed, so another thread may read.
    """

    known: dict[str, ItemCounts]
    newer: Mapping[str, ItemCounts | None] = {}

    def funnel(self, name: str) -> Funnel:
        """What was done of an item."""
        item = self.newer[name] if name in self.newer else self.known.get(name)
        return NOTHING if item is None else item.funnel

    def settled(self) -> dict[str, ItemCounts]:
        """All counts, the last batch's among them."""
        for name, item in self.newer.items():
            if item is None:
                self.known.pop(name, None)
            else:
                self.known[name] = item
        return self.known


class Items(Component[PartitionItems, None]):
    """Keeps the counts of a partition in a hash, of which a batch writes what it changes."""

    name = ITEMS
    reads = (ClaimRead(ITEM_COUNTS, "hash"),)

    def __init__(self, most: int = MOST) -> None:
        self._most = most

    def load(self, found: Mapping[str, Any]) -> PartitionItems:
        """See `Component.load`. What cannot be read is counted anew."""
        return PartitionItems(read_items(found.get(ITEM_COUNTS, {})))

    def apply(self, state: PartitionItems, applied: Applied[None]) -> Change:
        """See `Component.apply`."""
        if not applied.counts.minutes:
            return NO_CHANGE
        known, day = state.settled(), applied.clock.max_event_ms // _DAY_MS
        grown = {
            name: ItemCounts(_grown(known[name].funnel if name in known else NOTHING, more), day)
            for name, more in _counted(applied.counts).items()
        }
        newer: dict[str, ItemCounts | None] = {**grown}
        values = {name: pack_counts(item) for name, item in grown.items()}
        writes: list[Write] = [SetInHash(ITEM_COUNTS, values, TTL_S)]
        if len(known) + len(grown.keys() - known.keys()) > self._most + self._most // 4:
            dropped = self._surplus({**known, **grown}, day)
            newer |= dict.fromkeys(dropped)
            writes.append(RemoveFromHash(ITEM_COUNTS, dropped))
        return Change(PartitionItems(known, newer), writes)

    def size(self, state: PartitionItems) -> int:
        """See `Component.size`."""
        return len(state.known) * _ITEM_BYTES

    def _surplus(self, items: Mapping[str, ItemCounts], day: int) -> list[str]:
        """Names to drop, the least viewed first; never the shop's."""

        def weight(name: str) -> tuple[int, str]:
            funnel, last_day = items[name]
            return sum(funnel) >> max(0, day - last_day) // _FADES_DAYS, name

        return nsmallest(len(items) - self._most, [name for name in items if name != SHOP], key=weight)


def items_of(states: Mapping[str, Any], result: BatchResult) -> PartitionItems:
    """The counts after a batch of a partition, given the states of its components before; none if off."""
    after: PartitionItems | None = result.changes.get(ITEMS, NO_CHANGE).state
    return states.get(ITEMS, NO_ITEMS) if after is None else after


NO_ITEMS = PartitionItems({})


def read_items(fields: Mapping[str, str]) -> dict[str, ItemCounts]:
    """Counts by name from the fields of the hash; what cannot be read is left out."""
    found = {}
    for name, text in fields.items():
        try:
            found[name] = read_counts(text)
        except ValueError as exc:
            log.warning("what is counted of an item cannot be read and begins anew: %s", exc)
    return found


def _counted(counts: Counts) -> dict[str, list[int]]:
    """What a batch did, by name, as in a `Funnel`."""
    found: dict[str, list[int]] = {SHOP: [0, 0, 0]}
    shop = found[SHOP]
    for name, stage, number in _numbers(counts, shop):
        of_item = found.get(name)
        if of_item is None:
            of_item = found[name] = [0, 0, 0]
        of_item[stage] += number
    return found


def _numbers(counts: Counts, shop: list[int]) -> Iterator[tuple[str, int, int]]:
    """What was done of items: name, place in a `Funnel`, how often; `shop` is added to."""
    for by_rank in counts.minutes.values():
        for rank, stage in _STAGES:
            for product_id, number in by_rank[rank].items():
                shop[stage] += number
                if product_id:
                    yield product_name(product_id), stage, number
    for rank, stage in _STAGES:
        for category, number in counts.categories[rank].items():
            yield category_name(category), stage, number


def _grown(before: Funnel, more: list[int]) -> Funnel:
    after = Funnel(before[0] + more[0], before[1] + more[1], before[2] + more[2])
    while sum(after) > LARGEST:
        after = Funnel(after[0] >> 1, after[1] >> 1, after[2] >> 1)
    return after
