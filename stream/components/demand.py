"""Rolling demand: what events add to the buckets of products and of the shop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from contracts.events import EventType
from contracts.keys import GRAIN_MS, Grain, Metric
from contracts.numbers import MAX_SUM_MINOR
from contracts.visitor import ACTION_TYPES, Action
from models.trending import ACTION_WEIGHTS, contribution, landmark_of

METRIC_OF_RANK = (Metric.VIEWS, Metric.FAVORITES, Metric.CARTS, Metric.REMOVES, Metric.PURCHASES)
WEIGHT_OF_RANK = tuple(ACTION_WEIGHTS[event_type] for event_type in ACTION_TYPES)
_PURCHASE = EventType.PURCHASE.rank
_MINUTE_MS = GRAIN_MS["minute"]
_COARSER: tuple[Grain, ...] = ("hour", "day")

BucketCounts = dict[int, dict[str, int]]
"""Start of a bucket in ms to its fields and what they grow by."""


@dataclass(slots=True)
class DemandDeltas:
    """What to add: minute buckets (hours and days are summed from them) and trending scores per landmark.

    Addition has no order, so replays of a part in another order come to the same.
    """

    products: BucketCounts = field(default_factory=dict)
    shop: BucketCounts = field(default_factory=dict)
    trend: dict[int, dict[str, float]] = field(default_factory=dict)
    currencies: set[str] = field(default_factory=set)

    def add_shop(self, minute_ms: int, metric: str, change: int) -> None:
        """Change a shop counter that no single event stands for (sessions, orders)."""
        if change:
            _grow(self.shop.setdefault(minute_ms, {}), metric, change)


class DemandCounter:
    """Counts actions by minute, type and product; `settle` turns the counts into `DemandDeltas` at the end.

    So an event costs one step in a small dict, and names and scores are made once per product.
    """

    def __init__(self, deltas: DemandDeltas, half_life_ms: int) -> None:
        self.deltas = deltas
        self.half_life_ms = half_life_ms
        self.minutes: dict[int, tuple[dict[str, int], ...]] = {}
        """Start of the minute to one dict per `ACTION_TYPES`: product to number of actions."""

    def count(self, actions: Sequence[Action]) -> None:
        """Count actions once each."""
        minutes = self.minutes
        for at_ms, rank, _, product, quantity, price, currency, _, _, _ in actions:
            minute_ms = at_ms - at_ms % _MINUTE_MS
            by_rank = minutes.get(minute_ms)
            if by_rank is None:
                by_rank = minutes[minute_ms] = tuple({} for _ in ACTION_TYPES)
            products = by_rank[rank]
            products[product] = products.get(product, 0) + 1
            if rank == _PURCHASE:
                self.count_sale(minute_ms, product, quantity, price, currency)

    def settle(self) -> None:
        """Add what was counted to the deltas. All events of a minute have the same weight in the trend."""
        for minute_ms, by_rank in self.minutes.items():
            products = self.deltas.products.setdefault(minute_ms, {})
            shop = self.deltas.shop.setdefault(minute_ms, {})
            landmark_ms = landmark_of(minute_ms)
            scores = self.deltas.trend.setdefault(landmark_ms, {})
            for metric, weight, numbers in zip(METRIC_OF_RANK, WEIGHT_OF_RANK, by_rank, strict=True):
                if not numbers:
                    continue
                worth = contribution(minute_ms, weight, landmark_ms, self.half_life_ms)
                shop[metric] = sum(numbers.values())
                for product, number in numbers.items():
                    products[f"{metric}:{product}"] = number
                    scores[product] = scores.get(product, 0.0) + number * worth

    def count_sale(
        self, minute_ms: int, product: str, quantity: int, price: int | None, currency: str | None
    ) -> None:
        products = self.deltas.products.setdefault(minute_ms, {})
        shop = self.deltas.shop.setdefault(minute_ms, {})
        _grow(products, f"{Metric.UNITS}:{product}", quantity)
        _grow(shop, Metric.UNITS, quantity)
        if price is not None and currency is not None:
            metric = Metric.REVENUE + currency
            _grow(products, f"{metric}:{product}", price * quantity)
            _grow(shop, metric, price * quantity)
            self.deltas.currencies.add(currency)


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
            _grow(total, name, change)
    return total


def _grow(fields: dict[str, int], name: str, change: int) -> None:
    fields[name] = min(fields.get(name, 0) + change, MAX_SUM_MINOR)
