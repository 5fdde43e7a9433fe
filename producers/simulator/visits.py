"""One visit of one visitor: a session, step by step."""

import math
import random
from collections.abc import Iterator

from contracts.events import Event, EventType
from producers.simulator.catalogue import Product
from producers.simulator.profiles import LogNormal, Profile
from producers.simulator.shop import CONVERSION_LIFT, Shop
from producers.simulator.visitors import CartLine, Visitor

LONGEST_GAP_MS = 25 * 60_000
"""Shorter than the gap that ends a session."""
_MOST = 80

Step = Event | int
"""What a visit yields: an event that happens now, or milliseconds until its next step."""


def draw_count(rng: random.Random, shape: LogNormal) -> int:
    """A whole number from 1 up with this median and spread."""
    return min(_MOST, max(1, math.ceil(shape.median * math.exp(rng.gauss(0.0, shape.sigma)))))


class Visit:
    """The steps of one session. `at_ms` follows the waits it yields."""

    def __init__(
        self, visitor: Visitor, shop: Shop, profile: Profile, rng: random.Random, at_ms: int, currency: str
    ) -> None:
        self._visitor = visitor
        self._shop = shop
        self._profile = profile
        self._rng = rng
        self._at_ms = at_ms
        self._currency = currency
        self._session_id = f"{rng.getrandbits(64):016x}"

    def steps(self, *, returning: bool) -> Iterator[Step]:
        """Events and waits until the visitor leaves; `returning` visitors come for what is in their cart."""
        self._shop.advance(self._at_ms)
        wish, eagerness = self._rng.random(), self._visitor.eagerness
        shops = self._profile.shops * eagerness
        if returning and self._visitor.cart:
            yield from self._return_for_cart()
        elif wish < shops:
            yield from self._fill_cart()
        elif wish < shops + self._profile.buys_directly * eagerness:
            yield from self._buy_directly()
        else:
            yield from self._look(draw_count(self._rng, self._profile.browse_views))

    def _look(self, views: int, towards: Product | None = None) -> Iterator[Step]:
        """Views of products, the last one of `towards` if given."""
        product = None
        for left in range(views - 1, -1, -1):
            if left == 0 and towards is not None:
                product = towards
            elif product is None or self._rng.random() >= self._profile.views_again:
                product = self._choose()
            yield self._event(EventType.VIEW, product)
            if self._rng.random() < self._profile.favorites:
                yield self._wait(self._profile.quick_gap_s)
                yield self._event(EventType.FAVORITE, product)
            if left:
                yield self._wait(self._profile.gap_s)

    def _fill_cart(self) -> Iterator[Step]:
        profile, rng = self._profile, self._rng
        for number in range(draw_count(rng, profile.adds)):
            if number:
                yield self._wait(profile.quick_gap_s)
            product = self._choose(to_buy=True)
            views = int(rng.expovariate(1.0 / profile.views_per_add) + 0.5)
            if number == 0 and views == 0 and rng.random() >= profile.adds_at_once:
                views = 1
            if views:
                yield from self._look(views, product)
                yield self._wait(profile.gap_s)
            yield from self._add(product)
            if rng.random() < profile.adds_again:
                yield self._wait(profile.quick_gap_s)
                yield from self._add(product)
            if rng.random() < profile.removes:
                yield self._wait(profile.quick_gap_s)
                yield from self._remove_one()
        if self._decides_to_buy(profile.buys):
            yield self._wait(profile.gap_s)
            yield from self._check_out()

    def _buy_directly(self) -> Iterator[Step]:
        product = self._choose(to_buy=True)
        yield from self._look(1 + int(self._rng.expovariate(1.0 / self._profile.views_per_add)), product)
        yield self._wait(self._profile.gap_s)
        line = self._visitor.cart.get(product.product_id, CartLine(product, 1))
        if self._shop.in_stock(product, self._at_ms) >= line.quantity:
            self._visitor.cart.pop(product.product_id, None)
            yield from self._purchase([line])
        yield from self._linger()

    def _return_for_cart(self) -> Iterator[Step]:
        line = self._rng.choice(list(self._visitor.cart.values()))
        yield self._event(EventType.VIEW, line.product)
        yield self._wait(self._profile.gap_s)
        if self._decides_to_buy(self._profile.buys_on_return):
            yield from self._check_out()
            yield from self._linger()
        elif self._rng.random() < self._profile.removes:
            yield from self._remove_one()
        else:
            yield from self._look(draw_count(self._rng, self._profile.browse_views))

    def _linger(self) -> Iterator[Step]:
        """After buying, half of the visitors look around a little more."""
        if self._rng.random() < 0.5:
            yield self._wait(self._profile.gap_s)
            yield from self._look(1 + int(self._rng.expovariate(1.0)))

    def _add(self, product: Product) -> Iterator[Step]:
        cart = self._visitor.cart
        held = cart[product.product_id].quantity if product.product_id in cart else 0
        quantity = 1 if self._rng.random() < 0.92 else 2
        if self._shop.in_stock(product, self._at_ms) >= held + quantity and len(cart) < _MOST:
            cart[product.product_id] = CartLine(product, held + quantity)
            yield self._event(EventType.CART, product, quantity)

    def _remove_one(self) -> Iterator[Step]:
        if self._visitor.cart:
            product_id = self._rng.choice(list(self._visitor.cart))
            line = self._visitor.cart.pop(product_id)
            yield self._event(EventType.REMOVE_FROM_CART, line.product, line.quantity)

    def _check_out(self) -> Iterator[Step]:
        """Buy the cart; what is sold out by now is taken out of it first."""
        for line in list(self._visitor.cart.values()):
            if self._shop.in_stock(line.product, self._at_ms) < line.quantity:
                del self._visitor.cart[line.product.product_id]
                yield self._event(EventType.REMOVE_FROM_CART, line.product, line.quantity)
        lines = list(self._visitor.cart.values())
        self._visitor.cart.clear()
        yield from self._purchase(lines)

    def _purchase(self, lines: list[CartLine]) -> Iterator[Step]:
        order_id = f"o{self._rng.getrandbits(48):012x}"
        for line in lines:
            self._shop.sell(line.product, line.quantity, self._at_ms)
        for line in lines:
            yield self._event(EventType.PURCHASE, line.product, line.quantity, order_id)

    def _decides_to_buy(self, chance: float) -> bool:
        """Full carts are bought more often, and carts with something on promotion."""
        lines = self._visitor.cart.values()
        if any(self._shop.promoted(line.product) for line in lines):
            chance *= CONVERSION_LIFT
        return self._rng.random() < min(0.9, chance * len(lines) ** self._profile.buys_exponent) and bool(
            lines
        )

    def _choose(self, *, to_buy: bool = False) -> Product:
        return self._visitor.choose(self._rng, self._shop, self._profile, to_buy=to_buy)

    def _wait(self, gap: LogNormal) -> int:
        seconds = gap.median * math.exp(self._rng.gauss(0.0, gap.sigma))
        wait_ms = min(LONGEST_GAP_MS, max(1, round(seconds * 1_000)))
        self._at_ms += wait_ms
        return wait_ms

    def _event(
        self, kind: EventType, product: Product, quantity: int = 1, order_id: str | None = None
    ) -> Event:
        self._shop.advance(self._at_ms)
        extra: dict[str, object] = {"name": product.name}
        if self._shop.promotion is not None and self._shop.promotion.covers(product):
            extra["discount_percent"] = self._shop.promotion.percent
        return Event(
            event_id=f"{self._rng.getrandbits(96):024x}",
            event_type=kind,
            event_time_ms=self._at_ms,
            user_id=self._visitor.user_id,
            product_id=product.product_id,
            session_id=self._session_id,
            price_minor=self._shop.price_minor(product),
            currency=self._currency,
            quantity=quantity,
            category=product.category,
            brand=product.brand,
            order_id=order_id,
            extra=extra,
        )
