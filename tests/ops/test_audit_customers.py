"""The audit of customers counts orders and money by itself, and names who is not as sent."""

from typing import Any

import polars as pl
import pytest
from redis import Redis

from contracts.customers import Customer, pack_customer
from contracts.keys import Keys
from contracts.settings import Settings
from ops.audit import customer_differences, expected_customers, read_customers
from ops.audit.customers import CustomerView
from ops.audit.expected import COLUMNS

ANNA = CustomerView(2, 6, {"EUR": 3_500, "JPY": 300})


def frame(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Purchases: id, ms, customer, product, quantity, price, currency, order; and a view."""
    purchases = [(id_, "purchase", *rest, None) for id_, *rest in rows]
    view = ("v1", "view", 5, "viewer", "p1", 1, 100, "EUR", None, None)
    return pl.DataFrame([*purchases, view], schema=COLUMNS, orient="row")


def test_orders_lines_and_money_count_once() -> None:
    sent = frame(
        ("e1", 10, "anna", "p1", 2, 1_000, "EUR", "o1"),
        ("e2", 10, "anna", "p2", 1, None, None, "o1"),
        ("e1", 10, "anna", "p1", 2, 1_000, "EUR", "o1"),  # sent twice
        ("e3", 90, "anna", "p1", 2, 1_000, "EUR", "o1"),  # the line again, by a reloaded page
        ("e4", 20, "anna", "p3", 3, 100, "JPY", None),
        ("e5", 20, "ben", "p3", 1, 100, "EUR", None),
        ("e6", 21, "ben", "p3", 1, 100, "EUR", None),
    )
    assert expected_customers(sent) == {
        "anna": CustomerView(2, 6, {"EUR": 2_000, "JPY": 300}),
        "ben": CustomerView(2, 2, {"EUR": 200}),
    }


@pytest.mark.parametrize(
    ("record", "is_right"),
    [
        (Customer(1, 2, n_orders=2, units=6, revenue_minor={"EUR": 3_500, "JPY": 300, "USD": 0}), True),
        (Customer(1, 2, n_orders=3, units=6, revenue_minor={"EUR": 3_500, "JPY": 300}), False),
        (Customer(1, 2, n_orders=2, units=6, revenue_minor={"EUR": 3_501, "JPY": 300}), False),
        (Customer(1, 2), False),
        (None, False),
    ],
)
def test_a_record_that_says_something_else_is_named(
    make_installation: Any, record: Customer | None, is_right: bool
) -> None:
    settings: Settings = make_installation(partitions=3)
    keys, client = Keys(settings.namespace, 3), Redis.from_url(settings.redis_url)
    if record is not None:
        client.set(keys.customer("anna"), pack_customer(record))
    client.set(keys.customer("who only logged in"), pack_customer(Customer(1, 2)))
    unlike = customer_differences({"anna": ANNA}, read_customers(client, keys))
    client.close()
    assert (unlike == []) is is_right
    assert is_right or unlike[0].startswith("customer anna: expected CustomerView(orders=2")


def test_somebody_who_bought_nothing_and_has_an_order_is_named() -> None:
    [line] = customer_differences({}, {"anna": ANNA})
    assert line.startswith("customer anna: expected None, found CustomerView(orders=2")
