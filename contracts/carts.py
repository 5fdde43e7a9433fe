"""What an action does to a visitor's cart."""

from contracts.events import EventType
from contracts.visitor import CartLine, cart_line_of

CART, REMOVE, PURCHASE = EventType.CART.rank, EventType.REMOVE_FROM_CART.rank, EventType.PURCHASE.rank
"""Ranks of the actions that change a cart; those of all others are lower."""

MAX_CART_LINES = 200
"""A cart that is full loses the product that is in it longest."""


def change_cart(
    cart: dict[str, CartLine],
    at_ms: int,
    rank: int,
    product: str,
    quantity: int,
    price_minor: int | None,
    currency: str | None,
) -> CartLine | None:
    """Change the cart in place by one action; returns the line that a full cart lost for another product.

    An add raises the quantity, and names price and time anew; without a price the known one stays. A remove
    lowers the quantity, a purchase takes the product out; an order without lines takes out everything.
    """
    if rank == PURCHASE and not product:
        cart.clear()
        return None
    known = cart.get(product)
    if rank == CART:
        lost = None
        if known is not None:
            quantity += known.quantity
            if price_minor is None:
                price_minor, currency = known.price_minor, known.currency
        elif len(cart) >= MAX_CART_LINES:
            lost = cart.pop(next(iter(cart)))
        cart[product] = cart_line_of((quantity, price_minor, currency, at_ms))
        return lost
    if known is not None:
        if rank == REMOVE and known.quantity > quantity:
            cart[product] = cart_line_of((known.quantity - quantity, *known[1:]))
        elif rank in (REMOVE, PURCHASE):
            del cart[product]
    return None
