"""The products of a synthetic shop."""

import math
import random
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

from producers.simulator.assortments import Department
from producers.simulator.profiles import Profile

_MAX_SIGMAS = 2.5


@dataclass(slots=True)
class Product:
    """One product. `popularity` is relative; `level` is its price in standard deviations of its category."""

    product_id: str
    name: str
    category: str
    brand: str
    price_minor: int
    popularity: float
    level: float
    stock: int = 0
    capacity: int = 0


class Catalogue:
    """All products, drawn by popularity, from all categories or one of them."""

    def __init__(self, products: list[Product]) -> None:
        self.products = products
        self.categories = sorted({product.category for product in products})
        self._by_category = {c: [p for p in products if p.category == c] for c in self.categories}
        self._cumulative = {
            c: list(accumulate(p.popularity for p in found)) for c, found in self._by_category.items()
        }
        self.category_weights = [self._cumulative[c][-1] for c in self.categories]
        self.popularity = sum(self.category_weights)

    def draw(self, rng: random.Random, category: str) -> Product:
        """A product of the category, the popular ones more often."""
        cumulative = self._cumulative[category]
        return self._by_category[category][
            bisect(cumulative, rng.random() * cumulative[-1], hi=len(cumulative) - 1)
        ]


def make_catalogue(profile: Profile, rng: random.Random, minor_units: int) -> Catalogue:
    """The catalogue of a shop with `minor_units` of its currency to one major unit (100 cents)."""
    total = sum(department.weight for department in profile.departments)
    products: list[Product] = []
    for department in profile.departments:
        count = max(4, round(profile.n_products * department.weight / total))
        first = len(products) + 1
        products += [
            _make_product(profile, department, first + rank, rank, rng, minor_units) for rank in range(count)
        ]
        _spread_popularity(products[-count:], department.weight / total, rng)
    return Catalogue(products)


def _make_product(
    profile: Profile, department: Department, number: int, rank: int, rng: random.Random, minor_units: int
) -> Product:
    level = max(-_MAX_SIGMAS, min(_MAX_SIGMAS, rng.gauss(0.0, 1.0)))
    price = profile.price.median * department.price_level * math.exp(profile.price.sigma * level)
    # The first brand of a department sells about twice as much as the second, as brands do (Zipf).
    weights = [1.0 / (i + 1) for i in range(len(department.brands))]
    brand = rng.choices(department.brands, weights)[0]
    name = f"{brand} {rng.choice(department.styles)} {rng.choice(department.nouns)} {100 + rank}"
    return Product(
        product_id=f"p{number:05}",
        name=name,
        category=department.code,
        brand=brand,
        price_minor=max(1, _tidy(round(price * minor_units), minor_units)),
        popularity=0.0,
        level=level,
    )


def _spread_popularity(products: list[Product], share: float, rng: random.Random) -> None:
    """Zipf with exponent 0.9 over a random order, so that number and popularity have nothing in common."""
    order = list(range(len(products)))
    rng.shuffle(order)
    weights = [1.0 / (rank + 1) ** 0.9 for rank in order]
    for product, weight in zip(products, weights, strict=True):
        product.popularity = share * weight / sum(weights)


def _tidy(price_minor: int, minor_units: int) -> int:
    """Prices from 20 up end in .90 or .99, as in a shop window."""
    if minor_units == 100 and price_minor >= 2_000:
        return price_minor // 100 * 100 + (99 if price_minor % 2 else 90)
    return price_minor
