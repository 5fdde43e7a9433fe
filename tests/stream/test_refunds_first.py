"""A refund told before its order comes to the same as one told after it, of customers and visitors."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.buckets import Metric
from contracts.customers import (
    FORMAT,
    FORMAT_WITH_REFUNDS,
    MAX_ORDERS,
    MAX_REFUNDS,
    Bought,
    Customer,
    CustomerReport,
    ReportKind,
    check_customer,
    pack_customer,
    unpack_customer,
)
from contracts.events import Event, EventType
from contracts.order_lines import event_key, line_key
from contracts.visitor import REFUNDED, Visitor, digest_of, pack_visitor, unpack_visitor
from contracts.visitor_check import check_visitor
from contracts.visitor_refunds import REFUNDS
from cores import core_named
from shoppers import NOW_MS, Shop, make_entries, make_event
from stream.batch.core import PYTHON, Core
from stream.components.customers.record import add_report
from stream.components.customers.refunds import went_back
from stream.components.orders.component import reports_of
from stream.components.orders.orders import UNKNOWN, Order, effects_of
from stream.visitors.refunds import MAX_REFUNDS as MAX_REFUNDS_OF_VISITOR

ORDERS = ("o1", "o2")
PRICES = {"a": (700, "EUR"), "b": (1_333, "EUR"), "c": (50, "JPY"), "d": (None, None)}


@st.composite
def told(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """What one visitor bought and gave back, some of it told again; and the same in another order."""
    events = []
    for order_id in draw(st.sampled_from((ORDERS, ORDERS[:1]))):
        at_s = 60 if order_id == "o1" else 90
        for product in draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True)):
            price_minor, currency = PRICES[product]
            quantity = draw(st.integers(1, 3))
            of_line: dict[str, Any] = {"price_minor": price_minor, "currency": currency, "quantity": quantity}
            events.append(make_event("purchase", at_s, product, order_id=order_id, **of_line))
    for number in range(draw(st.integers(1, 6))):
        price_minor, currency = draw(
            st.sampled_from(((None, None), (None, None), (1_000, "EUR"), (9, "JPY"), (5, "KWD")))
        )
        events.append(
            make_event(
                "refund",
                draw(st.sampled_from((30, 100, 200))),
                draw(st.sampled_from(("", "", "a", "b", "d"))),
                order_id=draw(st.sampled_from((*ORDERS, "never told"))),
                event_id=f"r{number}",
                quantity=draw(st.integers(1, 4)),
                price_minor=price_minor,
                currency=currency,
            )
        )
    again = draw(st.lists(st.sampled_from(events), max_size=2))
    return [*events, *again], draw(st.permutations([*events, *again]))


def report_of(event: Event, device: str = "d") -> CustomerReport:
    kind = ReportKind.REFUND if event.event_type is EventType.REFUND else ReportKind.PURCHASE
    bought = Bought(
        event_key(event), event.order_id, event.product_id, event.quantity, event.price_minor, event.currency
    )
    return CustomerReport(kind, "anna", device, event.event_time_ms, bought)


def customer_of(events: list[Event], customer: Customer | None = None) -> Customer:
    """The record after these, told one by one; each state can be kept and read."""
    for event in events:
        customer = add_report(customer, report_of(event))
        assert customer is not None
        blob = pack_customer(customer)
        assert blob[1] == (FORMAT_WITH_REFUNDS if customer.refunds else FORMAT)
        assert unpack_customer(blob) == customer
        check_customer(customer)
        assert 0 not in customer.refunded_minor.values()
    assert customer is not None
    return customer


def regardless_of_arrival(customer: Customer) -> Customer:
    """The record with what is kept in the order of arrival sorted."""
    orders = [order._replace(lines=tuple(sorted(order.lines))) for order in customer.orders]
    return customer._replace(
        orders=tuple(sorted(orders, key=lambda order: str(order.order_id))),
        seen=tuple(sorted(customer.seen)),
    )


def visitor_of(events: list[Event], core: Core, draw: random.Random) -> Visitor:
    """The visitor after these, who had looked at something before; in batches of one event or several."""
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("view", 0)]))
    while events:
        size = draw.randint(1, 3)
        shop.apply(make_entries(events[:size], arrived_ms=NOW_MS + 200_000))
        events = events[size:]
        visitor = shop.visitors["u1"]
        assert unpack_visitor(pack_visitor(visitor)) == visitor
        check_visitor(visitor)
    return shop.visitors["u1"]


def shop_refunded(events: list[Event]) -> dict[str, int]:
    """What the owners of these orders count as refunded, by currency."""
    shop = Shop()
    result = shop.apply(make_entries(events, arrived_ms=NOW_MS + 200_000))
    sums: Counter[str] = Counter()
    orders: dict[str, Order] = {}
    for key, report in reports_of(result.counts):
        orders[key] = orders.get(key, UNKNOWN).add(report)
    for order in orders.values():
        for (_, metric, product), number in effects_of(order).items():
            if metric.startswith(Metric.REFUNDED) and not product:
                sums[metric.removeprefix(Metric.REFUNDED)] += number
    return dict(+sums)


@settings(max_examples=200, deadline=None)
@given(told())
def test_a_customer_is_the_same_in_any_order_of_arrival(both: tuple[list[Event], list[Event]]) -> None:
    first, second = both
    customer = customer_of(first)
    assert regardless_of_arrival(customer_of(second)) == regardless_of_arrival(customer)
    assert customer.refunded_minor == shop_refunded(first)
    orders = {event.order_id for event in first if event.event_type is EventType.PURCHASE}
    assert customer.n_orders == len(customer.orders) == len(orders)
    assert (customer.first_ms, customer.last_ms) == (
        min(order.at_ms for order in customer.orders),
        max(order.at_ms for order in customer.orders),
    )


@pytest.mark.parametrize("name", ["python", "compiled"])
@settings(max_examples=100, deadline=None)
@given(both=told(), seed=st.integers(0, 99))
def test_a_visitor_is_the_same_in_any_order_of_arrival(
    name: str, both: tuple[list[Event], list[Event]], seed: int
) -> None:
    core, draw = core_named(name), random.Random(seed)
    first, second = [visitor_of(events, core, draw) for events in both]
    assert first.extra == second.extra
    assert first.orders == second.orders
    assert first.extra.get(REFUNDED, {}) == shop_refunded(both[0])


def test_a_refund_waits_for_its_order_and_is_in_no_number_of_orders() -> None:
    whole, piece, amount = (
        make_event("refund", 0, product, order_id="o1", event_id=name, price_minor=price, currency=currency)
        for name, product, price, currency in (
            ("whole", "", None, None),
            ("piece", "a", None, None),
            ("amount", "", 900, "EUR"),
        )
    )
    for refund, at_once in ((whole, {}), (piece, {}), (amount, {"EUR": 900})):
        customer = customer_of([refund])
        assert (customer.n_orders, customer.orders, customer.refunded_minor) == (0, (), at_once)
        assert customer.first_ms == NOW_MS
        customer = customer_of([make_event("purchase", 60, "a", order_id="o1")], customer)
        assert (customer.n_orders, customer.refunded_minor) == (1, {"EUR": 100})
        assert customer.first_ms == customer.last_ms == NOW_MS + 60_000


def test_what_an_earlier_version_noted_of_an_order_stays_and_bounds_what_goes_back_later() -> None:
    lines = [make_event("purchase", 60, product, order_id="o1", quantity=2) for product in "ab"]
    noted = customer_of(lines[:1])
    order = noted.orders[0]._replace(refunded_minor={"EUR": 150})
    seen = digest_of(event_key(make_event("refund", 70, "", order_id="o1", event_id="noted")))
    noted = noted._replace(orders=(order,), refunded_minor={"EUR": 150}, seen=(seen,))
    assert pack_customer(noted)[1] == FORMAT
    again = make_event("refund", 70, "", order_id="o1", event_id="noted", price_minor=None, currency=None)
    assert customer_of([again], noted) == noted
    rest = again._replace(event_id="rest")
    assert customer_of([rest], noted).refunded_minor == {"EUR": 200}
    assert customer_of([rest, lines[1]], noted).refunded_minor == {"EUR": 400}
    assert customer_of([lines[1], rest], noted).refunded_minor == {"EUR": 400}
    assert customer_of(lines, noted).refunded_minor == {"EUR": 150}


def test_of_many_refunds_the_newest_are_kept_and_what_the_others_gave_back_stays() -> None:
    number = MAX_REFUNDS + 30
    refunds = [
        make_event("refund", n, "", order_id="o1", event_id=f"r{n}", price_minor=2) for n in range(number)
    ]
    line = make_event("purchase", 0, "a", order_id="o1", price_minor=10_000)
    customer = customer_of([line, *refunds])
    assert customer.refunded_minor == went_back(customer, "o1") == {"EUR": 2 * number}
    assert customer.orders[0].refunded_minor == {"EUR": 60}
    assert len(customer.refunds) == MAX_REFUNDS
    assert customer_of(refunds[:3], customer) == customer
    unknown = customer_of(refunds)
    assert unknown.refunded_minor == {"EUR": 2 * number}
    assert len(unknown.refunds) == MAX_REFUNDS


def test_an_order_that_is_known_by_its_digest_alone_gives_back_what_a_refund_says() -> None:
    whole = make_event("refund", 0, "", order_id="o0", event_id="r", price_minor=None, currency=None)
    lines = [make_event("purchase", n, "a", order_id=f"o{n}") for n in range(MAX_ORDERS + 1)]
    customer = customer_of([whole, *lines])
    assert (customer.n_orders, customer.refunds, customer.refunded_minor) == (
        MAX_ORDERS + 1,
        (),
        {"EUR": 100},
    )
    assert pack_customer(customer)[1] == FORMAT
    amount = whole._replace(event_id="late", price_minor=30, currency="EUR")
    for _ in range(2):
        customer = customer_of([whole, whole._replace(event_id="late too"), amount], customer)
        assert customer.refunded_minor == {"EUR": 130}
        assert customer.refunds == ()


def test_a_visitor_keeps_the_newest_refunds() -> None:
    refunds = [
        make_event("refund", n, "", order_id="o1", event_id=f"r{n}", price_minor=2)
        for n in range(MAX_REFUNDS_OF_VISITOR + 5)
    ]
    visitor = visitor_of(refunds, PYTHON, random.Random(1))
    assert visitor.extra[REFUNDED] == {"EUR": 50}
    assert len(visitor.extra[REFUNDS]) == MAX_REFUNDS_OF_VISITOR


def test_a_visitor_whose_purchase_is_no_longer_remembered_keeps_what_its_piece_gave_back() -> None:
    shop = Shop()
    fields: dict[str, Any] = {"price_minor": None, "currency": None, "order_id": "o1"}
    bought = make_event("purchase", 1, "a", order_id="o1", price_minor=70, quantity=2)
    shop.apply(make_entries([bought, make_event("refund", 2, "a", event_id="r1", **fields)]))
    shop.apply(make_entries([make_event("view", 3 + n * 20) for n in range(200)]))
    visitor = shop.visitors["u1"]
    assert digest_of(line_key("o1", "a", "1")) in visitor.orders
    assert "a" not in [action.product_id for action in visitor.tail.actions()]
    whole = make_event("refund", 5_002, "", event_id="r2", **fields)
    shop.apply(make_entries([make_event("purchase", 5_001, "b", order_id="o1", price_minor=5), whole]))
    assert shop.visitors["u1"].extra[REFUNDED] == {"EUR": 145}
    assert [one[-1] for one in shop.visitors["u1"].extra[REFUNDS]] == [{"EUR": 70}, {"EUR": 75}]
