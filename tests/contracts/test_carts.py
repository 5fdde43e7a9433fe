"""What an action does to a cart."""

from contracts.carts import CART, MAX_CART_LINES, PURCHASE, REMOVE, change_cart
from contracts.events import EventType
from contracts.visitor import CartLine


def test_an_add_raises_the_quantity_and_keeps_the_price_it_does_not_name() -> None:
    cart = {"a": CartLine(1, 500, "EUR", 10)}
    assert change_cart(cart, 20, CART, "a", 2, None, None) is None
    assert cart == {"a": CartLine(3, 500, "EUR", 20)}
    change_cart(cart, 30, CART, "a", 1, 450, "USD")
    assert cart == {"a": CartLine(4, 450, "USD", 30)}


def test_a_remove_lowers_the_quantity_and_takes_out_what_is_left_of_none() -> None:
    cart = {"a": CartLine(3, 500, "EUR", 10)}
    change_cart(cart, 20, REMOVE, "a", 2, None, None)
    assert cart == {"a": CartLine(1, 500, "EUR", 10)}
    change_cart(cart, 30, REMOVE, "a", 2, None, None)
    assert cart == {}
    change_cart(cart, 40, REMOVE, "a", 1, None, None)
    assert cart == {}


def test_a_purchase_takes_the_product_out_and_no_other_action_changes_anything() -> None:
    cart = {"a": CartLine(3, 500, "EUR", 10), "b": CartLine(1, None, None, 12)}
    change_cart(cart, 20, PURCHASE, "a", 1, 500, "EUR")
    assert cart == {"b": CartLine(1, None, None, 12)}
    for kind in (EventType.VIEW, EventType.FAVORITE):
        change_cart(cart, 30, kind.rank, "b", 1, 100, "EUR")
    assert cart == {"b": CartLine(1, None, None, 12)}


def test_a_full_cart_says_which_line_it_lost() -> None:
    cart: dict[str, CartLine] = {}
    for i in range(MAX_CART_LINES):
        assert change_cart(cart, i, CART, f"p{i}", 1, 100, "EUR") is None
    assert change_cart(cart, 999, CART, "p5", 1, None, None) is None
    assert change_cart(cart, 1_000, CART, "new", 1, None, None) == CartLine(1, 100, "EUR", 0)
    assert len(cart) == MAX_CART_LINES
    assert "p0" not in cart
