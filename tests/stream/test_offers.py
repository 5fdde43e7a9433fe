"""What is offered: the cart, else the brand or category this visitor prefers by now."""

from alerted_visitor import DAY_S, at
from contracts.alerts import Offer, OfferKind
from contracts.visitor import Action, CartLine
from shoppers import make_action
from stream.alerts.offers import describe_cart, suggest_offer, value_of


def liked(kind: str, at_s: float, *, brand: str | None = None, category: str | None = None) -> Action:
    return make_action(kind, at_s)._replace(brand=brand, category=category)


def offer_at(actions: list[Action], at_s: float = 100) -> Offer | None:
    return suggest_offer({}, actions, at_ms=at(at_s), currency="EUR")


def test_the_most_valuable_products_of_the_cart_come_first() -> None:
    cart = {
        "cheap": CartLine(1, 100, "EUR", 1),
        "many": CartLine(9, 100, "EUR", 2),
        "dear": CartLine(1, 800, "EUR", 3),
        "unpriced": CartLine(1, None, None, 4),
    }
    offer = suggest_offer(cart, [], at_ms=at(0), currency="EUR")
    assert offer is not None
    assert (offer.kind, offer.names) == (OfferKind.CART, ("many", "dear", "cheap"))
    assert offer.words == "4 products worth 18.00 EUR in the cart: many, dear, cheap"


def test_a_favourite_or_cart_says_more_than_a_view() -> None:
    views = [liked("view", i, brand="seen") for i in range(2)]
    assert offer_at([*views, liked("cart", 3, brand="wanted")]) == Offer(
        OfferKind.BRAND, ("wanted",), "something of the brand wanted, which this visitor prefers"
    )


def test_what_was_done_days_ago_counts_less() -> None:
    actions = [liked("purchase", 0, brand="old"), liked("view", 3 * DAY_S, brand="new")]
    later, sooner = offer_at(actions, 3 * DAY_S), offer_at(actions, DAY_S)
    assert later is not None
    assert sooner is not None
    assert (later.names, sooner.names) == (("new",), ("old",))


def test_a_category_is_offered_where_no_brand_is_known() -> None:
    offer = offer_at([liked("view", 0, category="shoes"), liked("remove_from_cart", 1, category="hats")])
    assert offer is not None
    assert (offer.kind, offer.names) == (OfferKind.CATEGORY, ("shoes",))


def test_equally_liked_names_are_taken_in_the_order_of_the_alphabet() -> None:
    offer = offer_at([liked("view", 5, brand="b"), liked("view", 5, brand="a")])
    assert offer is not None
    assert offer.names == ("a",)


def test_nothing_known_is_no_offer() -> None:
    assert offer_at([]) is None
    assert offer_at([make_action("view", 0)]) is None


def test_a_cart_is_worth_what_its_lines_in_the_shops_currency_are() -> None:
    cart = {"a": CartLine(2, 150, "EUR", 1), "b": CartLine(1, 99_999, "JPY", 2)}
    assert value_of(cart, "EUR") == (300, "EUR")
    assert value_of(cart, "USD") == (99_999, "JPY")
    assert describe_cart({"a": CartLine(1, None, None, 1)}, "EUR") == "1 product in the cart"
