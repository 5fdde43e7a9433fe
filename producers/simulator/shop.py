"""The state of the shop that visitors meet: prices of the moment and what is in stock."""

import math
import random

from producers.simulator.calendar import HOUR_MS, Promotion, plan_promotions
from producers.simulator.catalogue import Catalogue, Product

PROMOTION_LIFT = 1.2
"""Visitors who come while a promotion is on, relative to without."""
CONVERSION_LIFT = 1.5
"""Chance to buy a cart with a promoted product, relative to one without."""
_LEAD_HOURS = 5.0


class Shop:
    """Prices and stock at a moving moment; `advance` before looking."""

    def __init__(self, catalogue: Catalogue, rng: random.Random, start_ms: int, units_per_day: float) -> None:
        self.catalogue = catalogue
        self.promotion: Promotion | None = None
        self.sold_out = 0
        self._rng = rng
        self._plan = plan_promotions(catalogue, rng, start_ms)
        self._next = next(self._plan)
        self._restocks: dict[str, int] = {}
        for product in catalogue.products:
            cover_days = rng.uniform(0.15, 3.0)
            demand = units_per_day * product.popularity / catalogue.popularity
            product.capacity = max(2, math.ceil(demand * cover_days))
            product.stock = rng.randint(1, product.capacity)

    def advance(self, at_ms: int) -> None:
        """Let the time be `at_ms`."""
        if self.promotion is not None and at_ms >= self.promotion.end_ms:
            self.promotion = None
        while at_ms >= self._next.start_ms:
            self.promotion = self._next if at_ms < self._next.end_ms else None
            self._next = next(self._plan)

    def promoted(self, product: Product) -> bool:
        """Whether the product is on promotion now."""
        return self.promotion is not None and self.promotion.covers(product)

    def price_minor(self, product: Product) -> int:
        """Price of one unit now."""
        if self.promotion is None or not self.promotion.covers(product):
            return product.price_minor
        return max(1, round(product.price_minor * (100 - self.promotion.percent) / 100))

    def in_stock(self, product: Product, at_ms: int) -> int:
        """Units that can be bought now; a delivery that is due is put on the shelf."""
        due_ms = self._restocks.get(product.product_id)
        if due_ms is not None and at_ms >= due_ms:
            del self._restocks[product.product_id]
            product.stock = product.capacity
        return product.stock

    def sell(self, product: Product, units: int, at_ms: int) -> None:
        """Take units off the shelf; the last ones order a delivery that comes after some hours."""
        product.stock -= units
        if product.stock == 0:
            self.sold_out += 1
            lead_ms = self._rng.expovariate(1.0 / _LEAD_HOURS) * HOUR_MS
            self._restocks[product.product_id] = at_ms + HOUR_MS // 2 + round(lead_ms)
