"""What a batch counts of new actions: the raw counts that components make their writes of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.buckets import GRAIN_MS, Metric
from contracts.events import Event, EventType
from contracts.numbers import MAX_SUM_MINOR
from contracts.visitor import ACTION_TYPES, Action
from stream.batch.entries import CountedLine

_PURCHASE = EventType.PURCHASE.rank
_MINUTE_MS = GRAIN_MS["minute"]

BucketCounts = dict[int, dict[str, int]]
"""Start of a bucket in ms to its fields and what they grow by."""

MinuteActions = dict[int, tuple[dict[str, int], ...]]
"""Start of a minute in ms to one dict per `ACTION_TYPES`: product to number of actions.

The product is empty for orders without lines.
"""


@dataclass(slots=True)
class Counts:
    """New actions, sales and sessions of a batch, by the minute in which they happened.

    Addition has no order, so replays of a part in another order come to the same. An event costs one step in
    a small dict; names of counters are made once per product.
    """

    minutes: MinuteActions = field(default_factory=dict)
    categories: tuple[dict[str, int], ...] = field(default_factory=lambda: tuple({} for _ in ACTION_TYPES))
    """One dict per `ACTION_TYPES`: category to number of actions, whenever they happened."""
    products: BucketCounts = field(default_factory=dict)
    """Sales: `<metric>:<product_id>` to units and money."""
    shop: BucketCounts = field(default_factory=dict)
    """What no single action stands for: units, money, sessions, orders."""
    currencies: set[str] = field(default_factory=set)
    prices: list[int] = field(default_factory=list)
    """Prices of all events of the batch, also of those that count nothing else (minor units, none is 0)."""
    purchases: list[CountedLine] = field(default_factory=list)
    """Each with the customer whose it is, as far as that is known."""
    refunds: list[Event] = field(default_factory=list)
    """Nothing of them is in the other counts: `stream.components.orders` counts them."""

    def count(self, actions: Sequence[Action]) -> None:
        """Count actions once each."""
        minutes, categories = self.minutes, self.categories
        for at_ms, rank, _, product, quantity, price, currency, category, _, _ in actions:
            minute_ms = at_ms - at_ms % _MINUTE_MS
            by_rank = minutes.get(minute_ms)
            if by_rank is None:
                by_rank = minutes[minute_ms] = tuple({} for _ in ACTION_TYPES)
            products = by_rank[rank]
            products[product] = products.get(product, 0) + 1
            if category:
                in_category = categories[rank]
                in_category[category] = in_category.get(category, 0) + 1
            if rank == _PURCHASE:
                self.count_sale(minute_ms, product, quantity, price, currency)

    def count_sale(
        self, minute_ms: int, product: str, quantity: int, price: int | None, currency: str | None
    ) -> None:
        """Count units and money of one line of an order; without a product, of the order as a whole."""
        shop = self.shop.setdefault(minute_ms, {})
        if price is not None and currency is not None:
            grow(shop, Metric.REVENUE + currency, price * quantity)
            self.currencies.add(currency)
        if product:
            products = self.products.setdefault(minute_ms, {})
            grow(shop, Metric.UNITS, quantity)
            grow(products, f"{Metric.UNITS}:{product}", quantity)
            if price is not None and currency is not None:
                grow(products, f"{Metric.REVENUE}{currency}:{product}", price * quantity)

    def count_order(self, line: CountedLine) -> None:
        """Count an order that a line begins, or move it to its minute."""
        self.purchases.append(line)
        for minute_ms, change in line.changes:
            self.add_shop(minute_ms, Metric.ORDERS, change)

    def add_shop(self, minute_ms: int, metric: str, change: int) -> None:
        """Change a shop counter that no single event stands for (sessions, orders)."""
        if change:
            grow(self.shop.setdefault(minute_ms, {}), metric, change)


def grow(fields: dict[str, int], name: str, change: int) -> None:
    """Add to a counter, which stops at `contracts.numbers.MAX_SUM_MINOR`."""
    fields[name] = min(fields.get(name, 0) + change, MAX_SUM_MINOR)
