"""How often products, categories and the whole shop were viewed, put into carts and bought in a partition.

Models read it as rates (`models.next_action.rates`), those of all partitions together. It is exact for the
`MOST` items that are kept. One that is dropped, the least viewed of late, counts from nothing if it comes
again: what was done of it before is missing from it, and not from the shop. Of an item of which more than
`LARGEST` was done all counts are halved, so that it goes by about its last so many views.
"""

import logging
from collections.abc import Mapping
from heapq import nsmallest
from typing import Any, NamedTuple

from contracts.carts import CART, PURCHASE, REMOVE
from contracts.key_families import ITEM_COUNTS
from contracts.visitor import ACTION_TYPES
from models.next_action.item_counts import ItemCounts, pack_counts, read_counts
from models.next_action.rates import NOTHING, SHOP, Funnel, category_name, product_name
from stream.batch.core import PYTHON, Core
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
_ITEM_BYTES = 220
"""About what the counts of an item take in memory."""
STAGES = tuple(
    (rank, 1 if rank == CART else 2 if rank == PURCHASE else 0)
    for rank in range(len(ACTION_TYPES))
    if rank != REMOVE
)
"""Ranks of actions that count, and where in a `Funnel`."""


class PartitionItems(NamedTuple):
    """Counts by name, as they were before the last batch that changed any, and what it changed.

    The step after it, which comes once the batch is stored, puts that into `known`. Nothing else is ever
    changed, so another thread may read.
    """

    known: dict[str, ItemCounts]
    newer: Mapping[str, ItemCounts] = {}
    dropped: frozenset[str] = frozenset()

    def funnel(self, name: str) -> Funnel:
        """What was done of an item."""
        item = self.newer.get(name) or self.known.get(name)
        return NOTHING if item is None or name in self.dropped else item.funnel

    def settled(self) -> dict[str, ItemCounts]:
        """All counts, the last batch's among them."""
        self.known.update(self.newer)
        for name in self.dropped:
            self.known.pop(name, None)
        return self.known


class Items(Component[PartitionItems, None]):
    """Keeps the counts of a partition in a hash, of which a batch writes what it changes."""

    name = ITEMS
    reads = (ClaimRead(ITEM_COUNTS, "hash"),)

    def __init__(self, core: Core = PYTHON, most: int = MOST) -> None:
        self._count_up = core.of(count_up)
        self._most = most

    def load(self, found: Mapping[str, Any]) -> PartitionItems:
        """See `Component.load`. What cannot be read is counted anew."""
        return PartitionItems(read_items(found.get(ITEM_COUNTS, {})))

    def apply(self, state: PartitionItems, applied: Applied[None]) -> Change:
        """See `Component.apply`."""
        if not applied.counts.minutes:
            return NO_CHANGE
        known, day = state.settled(), applied.clock.max_event_ms // _DAY_MS
        grown, texts = self._count_up(known, applied.counts, day)
        if not grown:
            return NO_CHANGE
        writes: list[Write] = [SetInHash(ITEM_COUNTS, texts, TTL_S)]
        dropped: frozenset[str] = frozenset()
        if len(known) + len(grown) > self._most + self._most // 4:
            dropped = self._surplus({**known, **grown}, day)
            if dropped:
                writes.append(RemoveFromHash(ITEM_COUNTS, dropped))
        return Change(PartitionItems(known, grown, dropped), writes)

    def size(self, state: PartitionItems) -> int:
        """See `Component.size`."""
        return len(state.known) * _ITEM_BYTES

    def _surplus(self, items: Mapping[str, ItemCounts], day: int) -> frozenset[str]:
        """Names to drop if there are too many, the least viewed first; never the shop's."""
        if len(items) <= self._most + self._most // 4:
            return frozenset()

        def weight(name: str) -> tuple[int, str]:
            views, carts, purchases, last_day = items[name]
            return (views + carts + purchases) >> max(0, day - last_day) // _FADES_DAYS, name

        names = [name for name in items if name != SHOP]
        return frozenset(nsmallest(len(items) - self._most, names, key=weight))


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


def count_up(
    known: dict[str, ItemCounts], counts: Counts, day: int
) -> tuple[dict[str, ItemCounts], dict[str, str]]:
    """What a batch makes of the counts that it changes, and their texts, by name."""
    grown: dict[str, ItemCounts] = {}
    shop = [0, 0, 0]
    for by_rank in counts.minutes.values():
        for rank, stage in STAGES:
            for product_id, number in by_rank[rank].items():
                shop[stage] += number
                if product_id:
                    _grow(grown, known, product_name(product_id), stage, number, day)
    for rank, stage in STAGES:
        for category, number in counts.categories[rank].items():
            _grow(grown, known, category_name(category), stage, number, day)
    for stage, number in enumerate(shop):
        if number:
            _grow(grown, known, SHOP, stage, number, day)
    return grown, {name: pack_counts(item) for name, item in grown.items()}


def _grow(
    grown: dict[str, ItemCounts], known: dict[str, ItemCounts], name: str, stage: int, number: int, day: int
) -> None:
    before = grown.get(name) or known.get(name)
    numbers = [0, 0, 0] if before is None else [*before[:3]]
    numbers[stage] += number
    while sum(numbers) > LARGEST:
        numbers = [each >> 1 for each in numbers]
    grown[name] = ItemCounts(numbers[0], numbers[1], numbers[2], day)
