"""The catalogue of a partition: its products, and the indexes by which readers list them.

What it keeps is the shop's word, so it ends when the shop says so: no visitor's deletion and no lifetime ends
it before (`TTL_S` is one because Redis keeps nothing of ours without).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Any, NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.fields import InvalidEvent
from contracts.key_families import (
    CATALOGUE_CHANGED,
    CATALOGUE_IDS,
    CATALOGUE_REMOVED,
    CATEGORY_PRODUCTS,
    PRODUCT,
)
from contracts.products import KnownProduct, check_product, pack_product, unpack_product
from contracts.settings import Settings
from contracts.topics import PRODUCTS
from stream.batch.records import Record
from stream.batch.result import Change
from stream.components.catalogue.merge import apply_update, remove
from stream.components.catalogue.records import ProductRecord, read_products
from stream.components.component import Source, SubjectValues, TopicComponent, TopicRecords
from stream.components.letters import letter_of
from stream.state.commit import ClaimRead
from stream.state.writes import RemoveFromHash, RemoveMembers, SetInHash, SetScores, Write

TTL_S = 3_650 * 86_400
REMOVED_MS = 30 * 86_400_000
"""A removal is known so long (by the topic's timestamps): older records cannot bring the product back."""
MOST_REMOVED = 10_000
"""Removals of a partition that are known at once; the oldest are dropped first."""
_REMOVAL_BYTES = 200
"""About what a removal takes in memory."""


class Removal(NamedTuple):
    """When a product was removed: the record's `updated_at`, and when that was applied (epoch ms)."""

    updated_ms: int
    changed_ms: int


class CatalogueState(NamedTuple):
    """How many products the partition has, the time of the newest change, and what was removed of late."""

    n_products: int = 0
    changed_ms: int = 0
    removed: Mapping[str, Removal] = {}


class Catalogue(TopicComponent[CatalogueState, KnownProduct, ProductRecord]):
    """Applies the topic of products."""

    name = "catalogue"
    topic = PRODUCTS
    reads = (
        ClaimRead(CATALOGUE_IDS, "size"),
        ClaimRead(CATALOGUE_CHANGED, "highest"),
        ClaimRead(CATALOGUE_REMOVED, "hash"),
    )
    values = SubjectValues(None, PRODUCT, TTL_S, pack_product, unpack_product, check_product)

    def __init__(self, settings: Settings) -> None:
        self._most = settings.catalogue_products
        self._partitions = settings.partitions
        self._currency = settings.currency

    def load(self, found: Mapping[str, Any]) -> CatalogueState:
        """See `Component.load`."""
        texts = found.get(CATALOGUE_REMOVED, {})
        removed = {id_: Removal(*map(int, text.split())) for id_, text in texts.items()}
        newest_ms = [removal.changed_ms for removal in removed.values()]
        return CatalogueState(
            found.get(CATALOGUE_IDS, 0), max([found.get(CATALOGUE_CHANGED) or 0, *newest_ms]), removed
        )

    def size(self, state: CatalogueState) -> int:
        """See `Component.size`."""
        return len(state.removed) * _REMOVAL_BYTES

    def read(self, records: Iterable[Record], source: Source) -> list[ProductRecord]:
        """See `TopicComponent.read`."""
        return read_products(records, source, partitions=self._partitions, default_currency=self._currency)

    def record_subjects(self, items: Sequence[ProductRecord]) -> Collection[str]:
        """See `TopicComponent.record_subjects`."""
        return {item.update.product_id for item in items if item.update is not None}

    def apply_records(
        self, state: CatalogueState, records: TopicRecords[ProductRecord, KnownProduct]
    ) -> Change:
        """See `TopicComponent.apply_records`."""
        changes = _Changes(state, records.values, self._most)
        for item in records.items:
            changes.take(item)
        counters = {"products": changes.n_taken, "rejected": len(changes.letters)}
        return Change(
            changes.state(),
            list(changes.writes()),
            changes.values,
            counters=counters,
            letters=changes.letters,
        )


class _Changes:
    """What records of one commit change, one after the other."""

    def __init__(self, state: CatalogueState, known: Mapping[str, KnownProduct | None], most: int) -> None:
        self._known = known
        self._most = most
        self._before = state
        self._n_products = state.n_products
        self._changed_ms = state.changed_ms
        self._removed = dict(state.removed)
        self.values: dict[str, KnownProduct | None] = {}
        self.letters: list[DeadLetter] = []
        self.n_taken = 0

    def take(self, item: ProductRecord) -> None:
        """Apply a record."""
        if item.update is None:
            self.letters += [item.letter] if item.letter is not None else []
            return
        update = item.update
        id_, at_ms = update.product_id, max(self._changed_ms, item.at_ms)
        removal = self._removed.get(id_)
        is_void = removal is not None and update.updated_ms < removal.updated_ms
        before = self.values[id_] if id_ in self.values else self._known[id_]
        if before is None and not (is_void or update.removes) and self._n_products >= self._most:
            exc = InvalidEvent("product.too_many", f"a partition keeps at most {self._most} products")
            self.letters.append(letter_of(item.record, item.source, exc))
            return
        self.n_taken += 1
        if is_void:
            return
        if update.removes:
            self._removed[id_], self._changed_ms = Removal(update.updated_ms, at_ms), at_ms
            after = remove(before, update.updated_ms)
        else:
            after = apply_update(before, update)
        if after == before:
            return
        if after is not None and (before is None or after.facts != before.facts):
            after, self._changed_ms = after._replace(changed_ms=at_ms), at_ms
        self.values[id_] = after
        self._n_products += (after is not None) - (before is not None)

    def state(self) -> CatalogueState:
        """The state after them."""
        self._drop_old_removals()
        return CatalogueState(self._n_products, self._changed_ms, self._removed)

    def writes(self) -> Iterator[Write]:
        """What the indexes and the removals change by."""
        gone = [id_ for id_, known in self.values.items() if known is None and self._known[id_] is not None]
        new = [id_ for id_, known in self.values.items() if known is not None and self._known[id_] is None]
        changed = {
            id_: known.changed_ms
            for id_, known in self.values.items()
            if known is not None and known.changed_ms != getattr(self._known[id_], "changed_ms", 0)
        }
        if gone:
            yield RemoveMembers(CATALOGUE_IDS, gone)
            yield RemoveMembers(CATALOGUE_CHANGED, gone)
        if new:
            yield SetScores(CATALOGUE_IDS, dict.fromkeys(new, 0))
        if changed:
            yield SetScores(CATALOGUE_CHANGED, changed)
        yield from self._category_writes()
        yield from self._removal_writes()

    def _category_writes(self) -> Iterator[Write]:
        left, joined = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for id_, known in self.values.items():
            before, after = _categories_of(self._known[id_]), _categories_of(known)
            for category in before - after:
                left[category].append(id_)
            for category in after - before:
                joined[category].append(id_)
        for category, ids in left.items():
            yield RemoveMembers(CATEGORY_PRODUCTS + category, ids)
        for category, ids in joined.items():
            yield SetScores(CATEGORY_PRODUCTS + category, dict.fromkeys(ids, 0))

    def _removal_writes(self) -> Iterator[Write]:
        before = self._before.removed
        texts = {
            id_: f"{removal.updated_ms} {removal.changed_ms}"
            for id_, removal in self._removed.items()
            if removal != before.get(id_)
        }
        dropped = before.keys() - self._removed.keys()
        if texts:
            yield SetInHash(CATALOGUE_REMOVED, texts)
        if dropped:
            yield RemoveFromHash(CATALOGUE_REMOVED, dropped)

    def _drop_old_removals(self) -> None:
        oldest_ms = self._changed_ms - REMOVED_MS
        old = [id_ for id_, removal in self._removed.items() if removal.changed_ms < oldest_ms]
        surplus = len(self._removed) - len(old) - MOST_REMOVED
        if surplus > 0:
            kept = self._removed.keys() - old
            old += nsmallest(surplus, kept, key=lambda id_: (self._removed[id_].changed_ms, id_))
        for id_ in old:
            del self._removed[id_]


def _categories_of(known: KnownProduct | None) -> frozenset[str]:
    return frozenset() if known is None else frozenset(known.facts.categories or ())
