"""The shop's catalogue: one product, those of a page, and what changed."""

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from contracts.partitioning import partition_of
from contracts.products import KnownProduct, unpack_product
from readers.reader import Reader


class ProductPage(NamedTuple):
    """Products in the order of their ids; the next page is after `next_after`, None if there is none."""

    products: dict[str, KnownProduct]
    next_after: str | None


class CatalogueChanges(NamedTuple):
    """Ids of products that changed, and of those that were removed, since certain times.

    `reached_ms` has for each partition the time of its newest change: what to ask from the next time.
    """

    changed: frozenset[str]
    removed: frozenset[str]
    reached_ms: tuple[int, ...]


async def read_product(reader: Reader, product_id: str) -> KnownProduct | None:
    """What is known of a product; None if nothing is."""
    return (await read_products(reader, [product_id])).get(product_id)


async def read_products(reader: Reader, product_ids: Iterable[str]) -> dict[str, KnownProduct]:
    """What is known of products, in the order that was asked for; others are left out."""
    ids = list(product_ids)
    pipe = reader.redis.pipeline(transaction=False)
    for product_id in ids:
        pipe.get(reader.keys.product(product_id))
    blobs = await pipe.execute() if ids else []
    return {id_: unpack_product(blob) for id_, blob in zip(ids, blobs, strict=True) if blob is not None}


async def list_products(
    reader: Reader, *, limit: int, after: str | None = None, category: str | None = None
) -> ProductPage:
    """The first products after an id, of all or of a category."""
    keys = reader.keys
    first = "-" if after is None else b"(" + after.encode()
    pipe = reader.redis.pipeline(transaction=False)
    for p in reader.partitions:
        key = keys.catalogue_ids(p) if category is None else keys.category_products(p, category)
        pipe.zrangebylex(key, first, "+", 0, limit + 1)
    found = list(islice(merge(*await pipe.execute()), limit + 1))
    ids = [raw.decode() for raw in found[:limit]]
    return ProductPage(await read_products(reader, ids), ids[-1] if len(found) > limit else None)


async def read_changes(reader: Reader, since_ms: Sequence[int]) -> CatalogueChanges:
    """What changed at or after a time in each partition (`CatalogueChanges.reached_ms`; 0: ever).

    What changed at that very moment may be listed again. Removals are listed for a month
    (`stream.components.catalogue`).
    """
    pipe = reader.redis.pipeline(transaction=False)
    for p in reader.partitions:
        pipe.zrangebyscore(reader.keys.catalogue_changed(p), since_ms[p], "+inf", withscores=True)
        pipe.hgetall(reader.keys.catalogue_removed(p))
    rows = await pipe.execute()
    changed: set[str] = set()
    removed: set[str] = set()
    reached = list(since_ms)
    for p, (scores, texts) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        for raw, score in scores:
            changed.add(raw.decode())
            reached[p] = max(reached[p], int(score))
        for raw, text in texts.items():
            changed_ms = int(text.split()[1])
            if changed_ms >= since_ms[p]:
                removed.add(raw.decode())
                reached[p] = max(reached[p], changed_ms)
    known = await _known(reader, removed - changed)
    return CatalogueChanges(frozenset(changed), frozenset(removed - changed - known), tuple(reached))


async def _known(reader: Reader, product_ids: Iterable[str]) -> set[str]:
    """Those of the products that came back after their removal, and have not changed of late."""
    ids = list(product_ids)
    pipe = reader.redis.pipeline(transaction=False)
    for id_ in ids:
        pipe.zscore(reader.keys.catalogue_ids(partition_of(id_, reader.keys.partitions)), id_)
    scores = await pipe.execute() if ids else []
    return {id_ for id_, score in zip(ids, scores, strict=True) if score is not None}
