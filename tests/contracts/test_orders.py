"""Events of several products become lines, and the lines of an order come to its total."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.currencies import MINOR_DIGITS
from contracts.events import Event, EventType, InvalidEvent, encode, format_minor, from_fields
from contracts.fields import MAX_ID_CHARS
from contracts.orders import MAX_ITEMS, split_items, spread

NOW_MS = 1_760_000_000_000
ORDER: dict[str, Any] = {
    "event_id": "e1",
    "event_type": "purchase",
    "event_time": NOW_MS,
    "user_id": "u",
    "session_id": "s",
    "order_id": "o-1",
    "currency": "EUR",
}


def split(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return split_items(fields, default_currency="USD")


def read(fields: dict[str, Any]) -> Event:
    return from_fields(fields, received_ms=NOW_MS, default_currency="USD")


def lines_of(items: list[Any], **fields: Any) -> list[tuple[str, str, int, str | None]]:
    """Id, product, quantity and price of each line."""
    lines = split(ORDER | {"items": items} | fields)
    return [(e["event_id"], e["product_id"], e["quantity"], e.get("price")) for e in lines]


def code_of(fields: dict[str, Any]) -> str:
    with pytest.raises(InvalidEvent) as caught:
        split(fields)
    return caught.value.code


def test_an_event_without_items_stays_as_it_is() -> None:
    event = ORDER | {"product_id": "p", "total": "5"}
    assert split(event) == [event]
    assert split(event | {"items": None}) == [event]


def test_an_order_without_lines_is_its_amount() -> None:
    for items in (None, [], [None]):
        [line] = split(ORDER | {"items": items, "total": "30"})
        event = read(line)
        assert (event.product_id, event.price_minor, event.currency) == ("", 3_000, "EUR")
        assert read(orjson.loads(encode(event))) == event
    assert read(split(ORDER | {"items": [None, {"id": "a", "price": 5}]})[0]).product_id == "a"
    assert code_of(ORDER | {"items": [None], "event_type": "view"}) == "items.empty"


def test_an_item_of_a_negative_amount_lowers_the_others() -> None:
    goods = [{"id": "a", "price": 30}, {"id": "coupon", "price": -10}, {"id": "b", "price": 10}]
    assert lines_of(goods) == [("e1#0", "a", 1, "22.50"), ("e1#2", "b", 1, "7.50")]
    assert lines_of(goods, total=20) == [("e1#0", "a", 1, "15.00"), ("e1#2", "b", 1, "5.00")]
    back = [{"id": "a", "price": 30}, {"id": "b", "price": 40, "quantity": -1}]
    assert lines_of(back) == [("e1#0", "a", 1, "0.00")]


def test_a_negative_purchase_is_a_refund() -> None:
    items = [{"id": "a", "price": 10, "quantity": -2}, {"id": "b", "price": 5, "quantity": "-1"}]
    for order in (ORDER | {"items": items}, ORDER | {"items": items, "total": "-25.00"}):
        refunds = [read(line) for line in split(order)]
        assert {event.event_type for event in refunds} == {EventType.REFUND}
        assert [(e.product_id, e.quantity, e.price_minor) for e in refunds] == [
            ("a", 2, 1_000),
            ("b", 1, 500),
        ]
    [whole] = split(ORDER | {"items": [], "value": -12.5})
    assert read(whole)[1] is EventType.REFUND
    assert read(whole).price_minor == 1_250


def test_a_product_on_several_lines_says_which_line_it_is() -> None:
    items = [{"id": "a", "price": 1}, {"id": "b", "price": 1}, {"id": "a", "price": 1, "quantity": 3}]
    told = [
        (line["product_id"], line.get("line")) for line in split(ORDER | {"items": items, "total": "7.01"})
    ]
    assert told == [("a", None), ("b", None), ("a", "2"), ("a", "2#2")]
    assert all("line" not in line for line in split(ORDER | {"items": items, "event_type": "cart"}))


def test_each_item_becomes_a_line_with_an_id_of_its_own() -> None:
    items = [{"product_id": "a", "price": "19.90", "quantity": 2, "colour": "red"}, {"product_id": 7}]
    first, second = split(ORDER | {"items": items, "coupon": "SPRING", "tax": 3.2})
    assert first == ORDER | {
        "event_id": "e1#0",
        "product_id": "a",
        "price": "19.90",
        "quantity": 2,
        "colour": "red",
        "coupon": "SPRING",
        "tax": 3.2,
    }
    assert second == ORDER | {"event_id": "e1#1", "product_id": "7", "quantity": 1}
    assert read(second).price_minor is None


def test_three_pieces_for_ten_euros_are_two_lines() -> None:
    assert lines_of([{"product_id": "a", "price": "3.33", "quantity": 3}], total="10.00") == [
        ("e1#0", "a", 2, "3.33"),
        ("e1#0.2", "a", 1, "3.34"),
    ]


def test_a_discount_is_spread_in_proportion_to_what_the_lines_cost() -> None:
    items = [
        {"product_id": "a", "price": 30, "quantity": 1},
        {"product_id": "b", "price": 10, "quantity": 2},
        {"product_id": "free", "price": 0, "quantity": 4},
    ]
    assert lines_of(items, value=45) == [
        ("e1#0", "a", 1, "27.00"),
        ("e1#1", "b", 2, "9.00"),
        ("e1#2", "free", 4, "0.00"),
    ]


def test_prices_that_come_to_the_total_are_left_alone() -> None:
    items = [{"product_id": "a", "price": "0.01", "quantity": 3}, {"product_id": "b", "price": "5"}]
    assert lines_of(items, total=5.03) == [("e1#0", "a", 3, "0.01"), ("e1#1", "b", 1, "5.00")]


def test_lines_without_a_price_get_what_the_others_leave() -> None:
    items = [{"product_id": "a", "price": "4"}, {"product_id": "b", "quantity": 2}, {"product_id": "c"}]
    assert lines_of(items, total=10) == [
        ("e1#0", "a", 1, "4.00"),
        ("e1#1", "b", 2, "2.00"),
        ("e1#2", "c", 1, "2.00"),
    ]
    assert [price for *_, price in lines_of(items, total=3)] == ["3.00", "0.00", "0.00"]


def test_the_total_goes_before_the_value_and_only_purchases_have_one() -> None:
    item = [{"product_id": "a", "price": 10}]
    assert lines_of(item, total=8, value=9) == [("e1#0", "a", 1, "8.00")]
    assert lines_of(item, value=9, event_type="cart") == [("e1#0", "a", 1, "10.00")]


def test_the_minor_unit_is_that_of_the_currency() -> None:
    items = [{"product_id": "a", "price": 333, "quantity": 3}]
    assert lines_of(items, currency="JPY", total=1000) == [("e1#0", "a", 2, "333"), ("e1#0.2", "a", 1, "334")]
    assert lines_of(items, currency="KWD", total="1.000")[0] == ("e1#0", "a", 2, "0.333")
    assert [e["currency"] for e in split(ORDER | {"items": items, "currency": None})] == ["USD"]


def test_items_may_be_named_as_ga4_names_them() -> None:
    item = {
        "item_id": "SKU_1",
        "item_name": "Tee",
        "item_brand": "Google",
        "item_category": "Apparel",
        "item_category2": "Adult",
        "item_category3": "",
        "item_category4": "Shirts",
        "item_variant": "green",
        "index": 0,
        "currency": "USD",
    }
    [line] = split(ORDER | {"items": [item], "currency": None})
    assert line == ORDER | {
        "event_id": "e1#0",
        "currency": "USD",
        "product_id": "SKU_1",
        "name": "Tee",
        "brand": "Google",
        "category": "Apparel.Adult.Shirts",
        "variant": "green",
        "index": 0,
        "quantity": 1,
    }
    named = [
        {"id": "x", "sku": "y", "category": "c", "item_category": "d"},
        {"sku": "z", "item_category": "f"},
    ]
    lines = split(ORDER | {"items": named})
    assert [(e["product_id"], e["category"], e.get("sku")) for e in lines] == [
        ("x", "c", "y"),
        ("z", "f", None),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"items": {}}, "items.not_list"),
        ({"items": [], "event_type": "cart"}, "items.empty"),
        ({"items": [{"id": "a"}] * (MAX_ITEMS + 1)}, "items.too_many"),
        ({"items": ["a"]}, "items.not_object"),
        ({"items": [{"price": 1}]}, "items.product_id.missing"),
        ({"items": [{"id": " "}]}, "items.product_id.blank"),
        ({"items": [{"id": "a", "price": -1}], "event_type": "cart"}, "items.price.negative"),
        ({"items": [{"id": "a", "price": "12,50"}]}, "items.price.not_number"),
        ({"items": [{"id": "a", "quantity": 0}]}, "items.quantity.not_positive"),
        ({"items": [{"id": "a", "quantity": True}]}, "items.quantity.not_number"),
        ({"items": [{"id": "a", "item_brand": {}}]}, "items.brand.not_string"),
        ({"items": [{"id": "a", "item_category": "x" * 300}]}, "items.category.too_long"),
        ({"items": [{"id": "a", "user_id": "b"}]}, "items.reserved"),
        ({"items": [{"id": "a", "currency": "USD"}]}, "currency.mixed"),
        ({"items": [{"id": "a", "currency": c} for c in ("USD", "SEK")], "currency": None}, "currency.mixed"),
        ({"items": [{"id": "a"}], "currency": "XXX"}, "currency.unknown"),
        ({"items": [{"id": "a"}], "currency": []}, "currency.unknown"),
        ({"items": [{"id": "a"}], "product_id": "b"}, "items.ambiguous"),
        ({"items": [{"id": "a"}], "price": 1}, "items.ambiguous"),
        ({"items": [{"id": "a"}], "value": "a lot"}, "value.not_number"),
        ({"items": [{"id": "a"}], "event_id": ""}, "event_id.blank"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_with_its_code(change: dict[str, Any], code: str) -> None:
    assert code_of(ORDER | change) == code


def test_the_detail_of_a_refusal_names_the_place_and_not_what_came() -> None:
    with pytest.raises(InvalidEvent) as caught:
        split(ORDER | {"items": [{"id": "a"}, {"id": "b", "price": "secret"}]})
    assert caught.value.detail == "items[1]: price must be a finite decimal such as 19.99"


def test_an_order_without_an_event_id_is_known_by_its_own() -> None:
    order = ORDER | {"event_id": None, "items": [{"id": "a"}]}
    [line] = split(order)
    assert [e["event_id"] for e in split(order | {"event_time": NOW_MS + 1})] == [line["event_id"]]
    assert [e["event_id"] for e in split(order | {"order_id": "o-2"})] != [line["event_id"]]
    assert code_of(order | {"order_id": ""}) == "order_id.blank"


def test_without_any_id_lines_are_told_apart_by_their_place() -> None:
    cart = ORDER | {"event_type": "cart", "event_id": None, "items": [{"id": "a"}, {"id": "a"}]}
    lines = split(cart)
    assert [(e.get("event_id"), e["line"]) for e in lines] == [(None, "0"), (None, "1")]
    ids = [read(line).event_id for line in lines]
    assert len(set(ids)) == 2
    assert ids == [read(line).event_id for line in split(dict(reversed(cart.items())))]


def test_an_id_that_is_too_long_for_a_suffix_is_replaced_by_its_digest() -> None:
    long = split(ORDER | {"event_id": "x" * MAX_ID_CHARS, "items": [{"id": "a"}]})
    assert read(long[0]).event_id.endswith("#0")
    assert split(ORDER | {"event_id": "x" * 122, "items": [{"id": "a"}]})[0]["event_id"] == "x" * 122 + "#0"


PRICES = st.none() | st.integers(0, 10**7)
ITEMS = st.lists(st.tuples(PRICES, st.integers(1, 1_000)), min_size=1, max_size=30)


@given(items=ITEMS, total=st.integers(0, 10**9), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_any_order_comes_to_its_total_and_keeps_its_pieces(
    items: list[tuple[int | None, int]], total: int, currency: str
) -> None:
    sent = [
        {
            "id": f"p{n}",
            "price": None if price is None else format_minor(price, currency),
            "quantity": quantity,
        }
        for n, (price, quantity) in enumerate(items)
    ]
    order = ORDER | {"currency": currency, "items": sent, "total": format_minor(total, currency)}
    events = [read(line) for line in split(order)]
    assert sum((event.price_minor or 0) * event.quantity for event in events) == total
    for n, (_, quantity) in enumerate(items):
        assert sum(event.quantity for event in events if event.product_id == f"p{n}") == quantity
    assert len({event.event_id for event in events}) == len(events) <= 2 * len(items)
    assert all(event.currency == currency for event in events)


@given(items=ITEMS)
def test_without_a_total_every_piece_keeps_its_price(items: list[tuple[int | None, int]]) -> None:
    sent = [{"id": "p", "price": price and price / 100, "quantity": quantity} for price, quantity in items]
    events = [read(line) for line in split(ORDER | {"items": sent})]
    assert [(event.price_minor, event.quantity) for event in events] == items


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1).filter(any))
def test_parts_add_up_and_none_is_a_unit_off_its_share(total: int, weights: list[int]) -> None:
    parts = spread(total, weights)
    assert sum(parts) == total
    assert all(
        abs(part * sum(weights) - total * w) < sum(weights) for part, w in zip(parts, weights, strict=True)
    )


MEMBERS = st.dictionaries(
    st.sampled_from(["id", "item_id", "price", "quantity", "item_brand", "item_category", "currency", "x"]),
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
)


@given(items=st.lists(MEMBERS, max_size=4), total=st.none() | st.floats() | st.text() | st.integers())
def test_whatever_comes_is_split_or_refused(items: list[dict[str, Any]], total: object) -> None:
    try:
        events = [read(line) for line in split(ORDER | {"items": items, "total": total})]
    except InvalidEvent as exc:
        code = exc.code
    else:
        code = "none" if all(encode(event) for event in events) else ""
    assert code.replace(".", "").replace("_", "").isalpha()


def test_every_currency_has_digits_the_split_can_use() -> None:
    for currency in MINOR_DIGITS:
        [line] = split(ORDER | {"currency": currency, "items": [{"id": "a", "price": 5}], "total": 4})
        assert read(line).price_minor == 4 * 10 ** MINOR_DIGITS[currency]
