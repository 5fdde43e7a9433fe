"""Visitors: what they like, and what is in their cart."""

import math
import random
from dataclasses import dataclass, field

from producers.simulator.catalogue import Catalogue, Product
from producers.simulator.profiles import Profile
from producers.simulator.shop import Shop

_CANDIDATES = 4


@dataclass(slots=True)
class CartLine:
    """A product in a cart and how many of it."""

    product: Product
    quantity: int


@dataclass(slots=True)
class Visitor:
    """A person with tastes. `eagerness` multiplies the chance to shop; 1 is the mean."""

    user_id: str
    categories: tuple[str, ...]
    weights: tuple[float, ...]
    brand: str
    price_level: float
    eagerness: float
    busy: bool = False
    cart: dict[str, CartLine] = field(default_factory=dict)

    def choose(self, rng: random.Random, shop: Shop, profile: Profile, *, to_buy: bool = False) -> Product:
        """A product to look at, or one to buy: of a liked category, brand and price, promoted if possible."""
        category = rng.choices(self.categories, self.weights)[0]
        best, best_score = None, -math.inf
        for _ in range(_CANDIDATES):
            product = shop.catalogue.draw(rng, category)
            score = rng.random() - 0.35 * abs(product.level - self.price_level)
            if product.brand == self.brand:
                score += 0.5
            if shop.promoted(product):
                score += 0.6
            if to_buy:
                score -= profile.price_sensitivity * product.level
            if score > best_score:
                best, best_score = product, score
        assert best is not None  # noqa: S101 - there is always a candidate
        return best


def make_visitor(number: int, catalogue: Catalogue, rng: random.Random) -> Visitor:
    """A visitor with two to four liked categories and one liked brand."""
    liked = rng.choices(catalogue.categories, catalogue.category_weights, k=rng.randint(2, 4))
    weights = [rng.expovariate(1.0) for _ in liked]
    return Visitor(
        user_id=f"v{number:07}",
        categories=tuple(liked),
        weights=tuple(weights),
        brand=catalogue.draw(rng, liked[0]).brand,
        price_level=rng.gauss(0.0, 0.8),
        eagerness=math.exp(rng.gauss(-0.18, 0.6)),
    )
