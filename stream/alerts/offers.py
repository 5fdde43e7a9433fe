"""The offer to suggest to one visitor, from what is in the cart and what was done lately."""

from collections.abc import Iterable, Mapping, Sequence

from contracts.alerts import MAX_VALUE_MINOR, Offer, OfferKind
from contracts.events import EventType, format_minor
from contracts.visitor import Action, CartLine

HALF_LIFE_MS = 24 * 3_600_000
"""An action a day ago says half as much about a visitor's taste as one of now."""
WEIGHTS: dict[int, float] = {
    EventType.VIEW.rank: 1.0,
    EventType.FAVORITE.rank: 2.0,
    EventType.CART.rank: 3.0,
    EventType.PURCHASE.rank: 4.0,
}
"""By rank; taking something out of the cart says nothing for it."""
MAX_PRODUCTS = 3


def suggest_offer(
    cart: Mapping[str, CartLine], actions: Sequence[Action], *, at_ms: int, currency: str
) -> Offer | None:
    """The cart's most valuable products, else the favourite brand, else the favourite category.

    None if nothing of these is known. `currency` is the shop's: lines in it come before others.
    """
    if cart:
        return _cart_offer(cart, currency)
    brand = favourite(((a.brand, a) for a in actions), at_ms=at_ms)
    if brand is not None:
        return Offer(OfferKind.BRAND, (brand,), f"something of the brand {brand}, which this visitor prefers")
    category = favourite(((a.category, a) for a in actions), at_ms=at_ms)
    if category is not None:
        words = f"something of the category {category}, which this visitor prefers"
        return Offer(OfferKind.CATEGORY, (category,), words)
    return None


def favourite(named: Iterable[tuple[str | None, Action]], *, at_ms: int) -> str | None:
    """The name with the highest decayed weight of its actions; of equals the first in the alphabet."""
    worth: dict[str, float] = {}
    for name, action in named:
        weight = WEIGHTS.get(action.rank, 0.0)
        if name is not None and weight:
            age = max(0, at_ms - action.at_ms) / HALF_LIFE_MS
            worth[name] = worth.get(name, 0.0) + weight * 0.5**age
    return min(worth, key=lambda name: (-worth[name], name), default=None)


def value_of(cart: Mapping[str, CartLine], currency: str) -> tuple[int, str] | tuple[None, None]:
    """Value of the cart and its currency: the shop's if a line has it, else that with most value; or None."""
    sums: dict[str, int] = {}
    for line in cart.values():
        if line.price_minor is not None and line.currency is not None:
            sums[line.currency] = sums.get(line.currency, 0) + line.price_minor * line.quantity
    if not sums:
        return None, None
    chosen = currency if currency in sums else min(sums, key=lambda code: (-sums[code], code))
    return min(sums[chosen], MAX_VALUE_MINOR), chosen


def describe_cart(cart: Mapping[str, CartLine], currency: str) -> str:
    """The cart in a few words, such as `2 products worth 59.90 EUR in the cart`."""
    products = "1 product" if len(cart) == 1 else f"{len(cart)} products"
    value_minor, code = value_of(cart, currency)
    if value_minor is None or code is None:
        return f"{products} in the cart"
    return f"{products} worth {format_minor(value_minor, code)} {code} in the cart"


def _cart_offer(cart: Mapping[str, CartLine], currency: str) -> Offer:
    def precedence(product: str) -> tuple[bool, int, int, str]:
        line = cart[product]
        value_minor = (line.price_minor or 0) * line.quantity
        return line.currency != currency, -value_minor, -line.added_ms, product

    products = tuple(sorted(cart, key=precedence)[:MAX_PRODUCTS])
    return Offer(OfferKind.CART, products, f"{describe_cart(cart, currency)}: {', '.join(products)}")
