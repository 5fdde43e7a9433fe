"""Customers' orders and money: a count of what was sent, and what their records say."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl
from redis import Redis

from contracts.customers import unpack_customer
from contracts.key_families import CUSTOMER
from contracts.keys import Keys
from ops.audit.expected import distinct_events

PAGE = 1_000


class CustomerView(NamedTuple):
    """What one customer bought; money in minor units by currency."""

    orders: int
    units: int
    revenue_minor: Mapping[str, int]


def expected_customers(events: pl.DataFrame) -> dict[str, CustomerView]:
    """The customers in events without devices (`ops.audit.expected.COLUMNS`): whoever bought something.

    An order is its id; lines without one are one order per millisecond.
    """
    bought = distinct_events(events).filter(pl.col("event_type") == "purchase")
    orders: dict[str, set[object]] = defaultdict(set)
    units: Counter[str] = Counter()
    revenue: dict[str, Counter[str]] = defaultdict(Counter)
    wanted = ("user_id", "order_id", "at_ms", "quantity", "price_minor", "currency")
    for user, order_id, at_ms, quantity, price_minor, currency in bought.select(wanted).iter_rows():
        orders[user].add(at_ms if order_id is None else order_id)
        units[user] += quantity
        if price_minor is not None and currency is not None:
            revenue[user][currency] += price_minor * quantity
    return {user: CustomerView(len(orders[user]), units[user], +revenue[user]) for user in orders}


def read_customers(redis: Redis, keys: Keys) -> dict[str, CustomerView]:
    """What the records of all customers say; `redis` must not decode answers."""
    found = {}
    for p in range(keys.partitions):
        prefix = f"{keys.prefix(p)}{CUSTOMER}"
        names: list[Any] = list(redis.scan_iter(match=f"{prefix}*", count=PAGE))
        for first in range(0, len(names), PAGE):
            page = names[first : first + PAGE]
            blobs: list[Any] = redis.mget(page)
            for name, blob in zip(page, blobs, strict=True):
                if blob is not None:
                    record = unpack_customer(blob)
                    money = {code: minor for code, minor in record.revenue_minor.items() if minor}
                    view = CustomerView(record.n_orders, record.units, money)
                    found[name.decode().removeprefix(prefix)] = view
    return {customer: view for customer, view in found.items() if view.orders}


def customer_differences(
    expected: Mapping[str, CustomerView], found: Mapping[str, CustomerView], *, limit: int = 20
) -> list[str]:
    """Every difference in words, at most `limit` of them and how many more there are."""
    lines = [
        f"customer {customer}: expected {expected.get(customer)}, found {found.get(customer)}"
        for customer in sorted(expected.keys() | found.keys())
        if expected.get(customer) != found.get(customer)
    ]
    more = len(lines) - limit
    return [*lines[:limit], *([f"... and {more} more customers"] if more > 0 else [])]
