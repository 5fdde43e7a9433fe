"""Rolling demand: what events add to the buckets of products and of the shop."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from contracts.keys import GRAIN_MS, Grain, Metric

_METRIC_OF_RANK = (Metric.VIEWS, Metric.FAVORITES, Metric.CARTS, Metric.REMOVES, Metric.PURCHASES)
_MINUTE_MS = GRAIN_MS["minute"]
_COARSER: tuple[Grain, ...] = ("hour", "day")

BucketCounts = dict[int, dict[str, int]]
"""Start of a bucket in ms to its fields and what they grow by."""


@dataclass(slots=True)
class DemandDeltas:
    """Minute buckets to be added; hours and days are summed from them. Addition has no order."""

    products: BucketCounts = field(default_factory=dict)
    shop: BucketCounts = field(default_factory=dict)
    currencies: set[str] = field(default_factory=set)

    def add(
        self, at_ms: int, rank: int, product: str, quantity: int, price: int | None, currency: str | None
    ) -> None:
        """Count one event of the action type `rank` (`contracts.visitor.ACTION_TYPES`)."""
        minute = at_ms - at_ms % _MINUTE_MS
        products = self.products.get(minute)
        if products is None:
            products = self.products[minute] = {}
            self.shop.setdefault(minute, {})
        shop = self.shop[minute]
        metric = _METRIC_OF_RANK[rank]
        name = f"{metric}:{product}"
        products[name] = products.get(name, 0) + 1
        shop[metric] = shop.get(metric, 0) + 1
        if metric is Metric.PURCHASES:
            self._add_sale(products, shop, product, quantity, price, currency)

    def _add_sale(
        self,
        products: dict[str, int],
        shop: dict[str, int],
        product: str,
        quantity: int,
        price: int | None,
        currency: str | None,
    ) -> None:
        _grow(products, f"{Metric.UNITS}:{product}", quantity)
        _grow(shop, Metric.UNITS, quantity)
        if price is not None and currency is not None:
            metric = Metric.REVENUE + currency
            _grow(products, f"{metric}:{product}", price * quantity)
            _grow(shop, metric, price * quantity)
            self.currencies.add(currency)

    def add_shop(self, minute_ms: int, metric: str, change: int) -> None:
        """Change a shop counter that no single event stands for (sessions, orders)."""
        if change:
            _grow(self.shop.setdefault(minute_ms, {}), metric, change)


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
            total[name] = total.get(name, 0) + change
    return total


def _grow(fields: dict[str, int], name: str, change: int) -> None:
    fields[name] = fields.get(name, 0) + change
