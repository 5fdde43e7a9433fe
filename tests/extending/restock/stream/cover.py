"""A derived job: what is known of a product's stock, added up over the partitions."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from contracts.subjects import Subject, SubjectKind
from restock.contracts import COVER, STOCK
from restock.stream.stock import StockLevels, unpack_stock
from stream.jobs.job import DerivedJob, JobContext
from stream.registry import Registry

if TYPE_CHECKING:
    from stream.batch.result import BatchResult

TTL_S = 90 * 86_400


def read_cover(context: JobContext, subject: Subject) -> dict[str, Any] | None:
    """Units at the last count, units sold, and how many times those are on the shelf."""
    pipe = context.redis.pipeline(transaction=False)
    for p in range(context.keys.partitions):
        pipe.get(f"{context.keys.prefix(p)}{STOCK}{subject.id}")
    parts = [unpack_stock(blob) for blob in pipe.execute() if blob is not None]
    if not parts:
        return None
    units = next((part.units for part in parts if part.units is not None), None)
    sold = sum(part.sold for part in parts)
    return {"units": units, "sold": sold, "cover": units / sold if units is not None and sold else None}


def stale_products(result: "BatchResult") -> Iterable[str]:
    """The products whose stock a batch has changed."""
    change = result.changes.get(StockLevels.name)
    return () if change is None else change.values


STOCK_COVER = DerivedJob(
    COVER, SubjectKind.PRODUCT, read_cover, stale_products, TTL_S, topic=COVER, interval_s=0.2
)


def register(registry: Registry) -> None:
    """Register it."""
    registry.jobs.add(STOCK_COVER)
