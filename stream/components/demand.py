"""Rolling demand: what a batch adds to the buckets of products and of the shop, and the currencies seen."""

from collections.abc import Iterator

from contracts.buckets import GRAIN_MS, Grain, Metric
from contracts.key_families import CURRENCIES, PRODUCT_BUCKETS, SHOP_BUCKETS, bucket_key
from contracts.settings import Settings
from stream.batch.counts import BucketCounts, Counts, grow
from stream.batch.result import NO_CHANGE, Change
from stream.components.component import Applied, Component
from stream.state.writes import AddToHashes, AddToSet, Write

METRIC_OF_RANK = (Metric.VIEWS, Metric.FAVORITES, Metric.CARTS, Metric.REMOVES, Metric.PURCHASES)
_COARSER: tuple[Grain, ...] = ("hour", "day")

Lifetimes = dict[Grain, int]
"""Lifetime of the buckets of each grain in seconds."""


class Demand(Component[None, None]):
    """Counts what products and the shop did in minutes, hours and days."""

    name = "demand"

    def __init__(self, products: Lifetimes, shop: Lifetimes) -> None:
        self._products = products
        self._shop = shop

    @classmethod
    def of(cls, settings: Settings) -> "Demand":
        """The component with the lifetimes in the settings."""
        shop = shop_lifetimes(settings)
        return cls(shop | {"minute": settings.product_minute_ttl_s}, shop)

    def apply(self, state: None, applied: Applied[None]) -> Change:
        """See `Component.apply`."""
        counts = applied.counts
        if not counts.minutes and not counts.shop:
            return NO_CHANGE
        products, shop = add_up(counts)
        now_ms = applied.clock.max_event_ms
        writes: list[Write] = [
            *bucket_writes(PRODUCT_BUCKETS, products, self._products, now_ms),
            *bucket_writes(SHOP_BUCKETS, shop, self._shop, now_ms),
        ]
        if counts.currencies:
            writes.append(AddToSet(CURRENCIES, counts.currencies))
        return Change(writes=writes)


def shop_lifetimes(settings: Settings) -> Lifetimes:
    """How long buckets of the whole shop are kept."""
    return {"minute": settings.minute_ttl_s, "hour": settings.hour_ttl_s, "day": settings.day_ttl_s}


def add_up(counts: Counts) -> tuple[BucketCounts, BucketCounts]:
    """What the minutes of products and of the shop grow by."""
    products = {minute_ms: dict(fields) for minute_ms, fields in counts.products.items()}
    shop = {minute_ms: dict(fields) for minute_ms, fields in counts.shop.items()}
    for minute_ms, by_rank in counts.minutes.items():
        of_products = products.setdefault(minute_ms, {})
        of_shop = shop.setdefault(minute_ms, {})
        for metric, numbers in zip(METRIC_OF_RANK, by_rank, strict=True):
            if numbers:
                of_shop[metric] = sum(numbers.values())
                prefix = metric + ":"
                of_products.update({prefix + id_: number for id_, number in numbers.items() if id_})
    return products, shop


def bucket_writes(family: str, minutes: BucketCounts, lifetimes_s: Lifetimes, now_ms: int) -> Iterator[Write]:
    """Additions to buckets of all grains.

    A bucket past its lifetime is left alone: written again it would come back with a part of its counts.
    """
    for buckets, fields in roll_up(minutes):
        hashes = [
            (bucket_key(family, grain, start_ms), lifetimes_s[grain])
            for grain, start_ms in buckets
            if start_ms + GRAIN_MS[grain] + lifetimes_s[grain] * 1_000 > now_ms
        ]
        if hashes and fields:
            yield AddToHashes(hashes, fields)


Bucket = tuple[Grain, int]
"""Grain and start in ms."""


def roll_up(minutes: BucketCounts) -> Iterator[tuple[list[Bucket], dict[str, int]]]:
    """The same counts in minute, hour and day buckets.

    Buckets that grow by the very same counts come together: in live traffic a batch lies in one minute, and
    its fields need to be written down once for all three grains.
    """
    level: dict[int, tuple[list[Bucket], dict[str, int]]] = {
        start: ([("minute", start)], fields) for start, fields in minutes.items()
    }
    for grain in _COARSER:
        width = GRAIN_MS[grain]
        grouped: dict[int, list[tuple[list[Bucket], dict[str, int]]]] = {}
        for start, finer in level.items():
            grouped.setdefault(start - start % width, []).append(finer)
        level = {}
        for start, parts in grouped.items():
            if len(parts) == 1:
                parts[0][0].append((grain, start))
                level[start] = parts[0]
                continue
            yield from parts
            level[start] = ([(grain, start)], _sum([fields for _, fields in parts]))
    yield from level.values()


def _sum(parts: list[dict[str, int]]) -> dict[str, int]:
    total = dict(parts[0])
    for fields in parts[1:]:
        for name, change in fields.items():
            grow(total, name, change)
    return total
