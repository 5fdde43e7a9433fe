"""Devices and customers: who an event is of, what a login carries over, and what a customer's record has."""

import random

import orjson
import pytest

from contracts.buckets import Metric
from contracts.customers import (
    Bought,
    CustomerReport,
    ReportKind,
    check_customer,
    decode_report,
    encode_report,
    pack_customer,
    unpack_customer,
)
from contracts.events import LOGGED_OUT, InvalidEvent, Statement, encode
from contracts.numbers import MAX_SUM_MINOR
from contracts.partitioning import partition_of
from identity_shop import SETTINGS, IdentityShop
from shoppers import NOW_MS
from stream.batch.core import Core
from stream.components.customers.record import add_report
from stream.components.customers.refunds import went_back

DAY_S = 86_400


@pytest.fixture
def shop(core: Core) -> IdentityShop:
    return IdentityShop(core)


def fired(shop: IdentityShop) -> list[tuple[str, str]]:
    return [(alert["kind"], alert["user_id"]) for alert in shop.alerts if alert["state"] == "firing"]


def test_the_cart_of_a_guest_goes_on_after_a_login_and_is_closed_by_the_purchase(shop: IdentityShop) -> None:
    shop.send("cart", 0, device="d1")
    shop.send("identify", 1, device="d1", customer="anna")
    shop.send("purchase", 2, device="d1", customer="anna", order_id="o1")
    shop.pass_time(4 * 3_600)
    shop.pass_time(DAY_S)
    assert shop.alerts == []
    assert shop.visitor("anna") is None
    visitor = shop.visitor("d1")
    assert visitor is not None
    assert (visitor.head.cart, visitor.head.counts) == ({}, (0, 0, 1, 0, 1))
    assert shop.login("d1").customer_id == "anna"
    customer = shop.customer("anna")
    assert customer is not None
    assert (customer.n_orders, customer.units, customer.revenue_minor) == (1, 1, {"EUR": 100})
    assert [(order.order_id, order.visitor_id) for order in customer.orders] == [("o1", "d1")]
    assert [device.visitor_id for device in customer.devices] == ["d1"]
    assert shop.customer("d1") is None
    assert shop.shop_total(Metric.ORDERS) == 1


def test_an_alert_says_who_is_logged_in(shop: IdentityShop) -> None:
    shop.send("cart", 0, device="d1", customer="anna")
    shop.send("cart", 0, device="d2")
    shop.pass_time(1_200)
    assert {(a["kind"], a["user_id"], a.get("customer_id")) for a in shop.alerts} == {
        ("cart_abandoned", "d1", "anna"),
        ("cart_abandoned", "d2", None),
    }


def test_an_event_keyed_by_its_customer_arrives_at_its_device_once(shop: IdentityShop) -> None:
    sent = [
        shop.send("view", n, f"p{n}", device=f"d{n}", customer="anna", key="anna", event_id=f"same{n}")
        for n in range(12)
    ]
    for event in sent:  # a second copy under the right key
        shop.put(event)
    shop.run()
    homes = {partition_of(event.user_id, SETTINGS.partitions) for event in sent}
    assert len(homes) > 1
    for event in sent:
        visitor = shop.visitor(event.user_id)
        assert visitor is not None
        assert visitor.totals.counts == (1, 0, 0, 0, 0)
    assert shop.store.counter("applied") == 12
    assert shop.store.counter("duplicates") == 12
    away = [e for e in sent if partition_of(e.user_id, 5) != partition_of("anna", 5)]
    assert shop.store.counter("forwarded") == len(away)


def test_who_comes_back_after_the_session_is_nobody_until_somebody_says_so(shop: IdentityShop) -> None:
    shop.send("view", 0, device="d1", customer="anna")
    shop.send("purchase", 60, device="d1", order_id="o1")
    shop.send("purchase", 60 + 1_801, device="d1", order_id="o2")
    shop.run()
    customer = shop.customer("anna")
    assert customer is not None
    assert [order.order_id for order in customer.orders] == ["o1"]
    assert shop.login("d1").customer_id == ""
    assert shop.login("d1").former == ("anna",)


def test_a_logout_ends_a_login_at_once_and_another_customer_takes_the_device(shop: IdentityShop) -> None:
    shop.send("view", 0, device="d1", customer="anna")
    shop.send("view", 10, device="d1", customer=LOGGED_OUT)
    shop.send("purchase", 20, device="d1", order_id="o1")
    shop.send("identify", 30, device="d1", customer="ben")
    shop.send("purchase", 40, device="d1", order_id="o2")
    shop.run()
    anna, ben = shop.customer("anna"), shop.customer("ben")
    assert anna is not None
    assert ben is not None
    assert (anna.n_orders, anna.devices[0].until_ms) == (0, NOW_MS + 10_000)
    assert [order.order_id for order in ben.orders] == ["o2"]
    assert shop.login("d1").former == ("anna",)


def test_a_statement_that_comes_late_does_not_turn_back_a_newer_one(shop: IdentityShop) -> None:
    shop.send("view", 0, device="d1", customer="anna")
    shop.run()
    shop.send("view", 100, device="d1", customer="ben")
    shop.run()
    shop.send("identify", 50, device="d1", customer="anna")
    shop.run()
    assert shop.login("d1").customer_id == "ben"


def test_a_purchase_on_one_device_closes_the_carts_on_the_others(shop: IdentityShop) -> None:
    shop.send("cart", 0, "p1", device="phone", customer="anna")
    shop.send("cart", 1, "p2", device="phone", customer="anna")
    shop.send("cart", 2, "p1", device="laptop", customer="anna")
    shop.run()
    shop.send("purchase", 60, "p1", device="laptop", customer="anna", order_id="o1")
    shop.run()
    phone = shop.visitor("phone")
    assert phone is not None
    assert (list(phone.head.cart), phone.head.counts, phone.head.last_ms) == (
        ["p2"],
        (0, 0, 2, 0, 0),
        NOW_MS + 1_000,
    )
    shop.pass_time(1_000)
    shop.pass_time(4_000)
    assert fired(shop) == []
    assert shop.shop_total(Metric.ORDERS) == 1
    assert shop.shop_total(Metric.UNITS) == 1


def test_a_purchase_elsewhere_resolves_an_alert_that_has_fired(shop: IdentityShop) -> None:
    shop.send("cart", 0, "p1", device="phone", customer="anna")
    shop.pass_time(1_000)
    assert fired(shop) == [("cart_abandoned", "phone")]
    shop.send("purchase", 1_010, "p1", device="laptop", customer="anna", order_id="o1")
    shop.run()
    assert [(a["state"], a["user_id"], a["customer_id"]) for a in shop.alerts] == [
        ("firing", "phone", "anna"),
        ("resolved", "phone", "anna"),
    ]


def test_carts_of_others_and_of_devices_left_stay_open(shop: IdentityShop) -> None:
    shop.send("cart", 0, "p1", device="shared", customer="anna")
    shop.send("cart", 5, "p1", device="shared", customer="ben")
    shop.send("cart", 0, "p1", device="guest")
    shop.send("purchase", 60, "p1", device="phone", customer="anna", order_id="o1")
    shop.run()
    for device in ("shared", "guest"):
        visitor = shop.visitor(device)
        assert visitor is not None
        assert list(visitor.head.cart) == ["p1"]


def test_who_is_only_named_by_a_user_id_is_visitor_and_customer(shop: IdentityShop) -> None:
    shop.send("purchase", 0, "p1", customer="anna", order_id="o1")
    shop.send("purchase", 0, "p2", customer="anna", order_id="o1")
    shop.send("view", 5, customer="carl")
    shop.run()
    customer = shop.customer("anna")
    assert customer is not None
    assert (customer.n_orders, customer.units, customer.revenue_minor) == (1, 2, {"EUR": 200})
    assert shop.customer("carl") is None
    visitor = shop.visitor("anna")
    assert visitor is not None
    assert visitor.totals.counts == (0, 0, 0, 0, 2)


def test_a_purchase_that_only_a_server_tells_closes_the_cart_of_the_device(shop: IdentityShop) -> None:
    shop.send("cart", 0, "p1", device="phone", customer="anna")
    shop.run()
    shop.send("purchase", 60, "p1", customer="anna", order_id="o1")
    shop.run()
    shop.pass_time(2_000)
    assert fired(shop) == []
    phone = shop.visitor("phone")
    assert phone is not None
    assert phone.head.cart == {}


def test_a_device_that_is_linked_after_the_purchase_hears_of_it(shop: IdentityShop) -> None:
    """The login was before it, and its record came later."""
    shop.send("purchase", 60, "p1", customer="anna", order_id="o1")
    shop.run()
    shop.send("cart", 0, "p1", device="phone", customer="anna")
    shop.run()
    phone = shop.visitor("phone")
    assert phone is not None
    assert phone.head.cart == {}
    shop.pass_time(2_000)
    assert fired(shop) == []


def test_a_cart_under_the_customers_own_id_is_closed_too(shop: IdentityShop) -> None:
    shop.send("cart", 0, "p1", customer="anna")
    shop.send("view", 1, device="phone", customer="anna")
    shop.run()
    shop.send("purchase", 60, "p1", device="phone", customer="anna", order_id="o1")
    shop.run()
    own = shop.visitor("anna")
    assert own is not None
    assert own.head.cart == {}


def test_what_was_bought_elsewhere_stays_out_of_the_cart_when_earlier_events_come_later(
    shop: IdentityShop,
) -> None:
    shop.send("cart", 0, "p1", device="phone", customer="anna")
    shop.send("view", 20, "p5", device="phone", customer="anna")
    shop.run()
    shop.send("purchase", 60, "p1", device="laptop", customer="anna", order_id="o1")
    shop.send("purchase", 60, "p2", device="laptop", customer="anna", order_id="o1")
    shop.run()
    shop.send("cart", 10, "p2", device="phone", customer="anna")  # late: the sessions are computed again
    shop.run()
    phone = shop.visitor("phone")
    assert phone is not None
    assert (phone.head.cart, phone.head.counts) == ({}, (1, 0, 2, 0, 0))
    shop.send("cart", 70, "p1", device="phone", customer="anna")
    shop.run()
    phone = shop.visitor("phone")
    assert phone is not None
    assert list(phone.head.cart) == ["p1"]


def test_refunds_go_off_what_the_customer_bought(shop: IdentityShop) -> None:
    bought = {"device": "d1", "customer": "anna", "order_id": "o1"}
    shop.send("purchase", 0, "p1", quantity=3, **bought)
    shop.send("purchase", 1, "p2", **bought)
    shop.run()
    back = {"customer": "anna", "order_id": "o1", "price_minor": None, "currency": None}
    for event_id in ("r1", "r1", "r2"):
        product, quantity = ("p1", 1) if event_id == "r1" else ("", 1)
        shop.send("refund", 100, product, quantity=quantity, event_id=event_id, **back)
        shop.run()
    customer = shop.customer("anna")
    assert customer is not None
    assert (customer.revenue_minor, customer.refunded_minor) == ({"EUR": 400}, {"EUR": 400})
    assert went_back(customer, "o1") == {"EUR": 400}


def test_an_unlinked_device_and_its_customer_forget_each_other(shop: IdentityShop) -> None:
    shop.send("purchase", 0, "p1", device="d1", customer="anna", order_id="o1")
    shop.send("view", 0, device="d2", customer="anna")
    shop.run()
    report = CustomerReport(ReportKind.UNLINK, "anna", "d1", NOW_MS + 60_000)
    shop.kafka.append("customers", "anna", encode_report(report), NOW_MS + 60_000)
    forget = shop.send("identify", 60, device="d1", customer="anna")
    shop.kafka.records["view", partition_of("d1", SETTINGS.partitions)].pop()
    shop.put(forget._replace(event_type=Statement.FORGET_CUSTOMER))
    shop.run()
    shop.send("identify", 30, device="d1", customer="anna")  # late
    shop.run()
    customer = shop.customer("anna")
    assert customer is not None
    assert [device.visitor_id for device in customer.devices] == ["d2"]
    assert b"d1" not in pack_customer(customer)
    assert customer.n_orders == 1
    shop.send("identify", 90, device="d1", customer="anna")
    shop.run()
    again = shop.customer("anna")
    assert again is not None
    assert {device.visitor_id for device in again.devices} == {"d1", "d2"}


def test_what_is_read_again_from_an_empty_store_is_the_same(core: Core) -> None:
    shop = IdentityShop(core)
    draw = random.Random(7)
    for n in range(300):
        device = f"d{draw.randrange(12)}"
        customer = draw.choice((None, f"c{draw.randrange(4)}", LOGGED_OUT))
        kind = draw.choice(("view", "cart", "purchase", "identify"))
        if kind in ("identify", "purchase") and customer is None:
            continue
        key = customer if customer not in (None, LOGGED_OUT) and draw.random() < 0.3 else None
        shop.send(kind, n * 2, f"p{n % 5}", device=device, customer=customer, key=key, order_id=f"o{n}")
        if n % 40 == 0:
            shop.run()
    shop.run()
    again = IdentityShop(core)
    again.kafka = shop.kafka
    again.run()
    for n in range(4):
        mine, theirs = shop.customer(f"c{n}"), again.customer(f"c{n}")
        assert mine is not None
        assert theirs is not None
        assert theirs._replace(devices=()) == mine._replace(devices=())
        assert {one.visitor_id for one in theirs.devices} == {one.visitor_id for one in mine.devices}
    for n in range(12):
        first, second = shop.visitor(f"d{n}"), again.visitor(f"d{n}")
        assert first is not None
        assert second is not None
        assert (second.totals, second.orders) == (first.totals, first.orders)


def test_a_record_that_tells_of_nobody_is_a_dead_letter(shop: IdentityShop) -> None:
    event = shop.send("view", 0, device="d1", customer="anna")
    for value in (b"", b"{}", b"[]", encode(event), b'{"kind":"login","customer_id":"a","at_ms":1}'):
        shop.kafka.append("customers", "anna", value, NOW_MS)
    shop.run()
    assert shop.store.counter("rejected") == 5
    assert shop.customer("anna") is not None


def test_refunds_of_any_number_and_size_can_be_kept() -> None:
    """In a currency of which the order has nothing, so that nothing of it bounds them."""
    bought = Bought("e", "o", "p1", 1, 100, "EUR")
    customer = add_report(None, CustomerReport(ReportKind.PURCHASE, "c", "d", NOW_MS, bought))
    for number in range(40):
        refund = Bought(f"r{number}", "o", "p1", 1_000_000, 1_000_000_000_000, "KWD")
        customer = add_report(customer, CustomerReport(ReportKind.REFUND, "c", "d", NOW_MS, refund))
    assert customer is not None
    assert unpack_customer(pack_customer(customer)) == customer
    assert customer.refunded_minor["KWD"] == MAX_SUM_MINOR
    check_customer(customer)


@pytest.mark.parametrize(
    "fields",
    [{"at_ms": 2**53}, {"bought": {"event": "e", "product_id": "p", "quantity": 1, "currency": "EUS"}}],
)
def test_a_report_that_could_not_be_kept_or_shown_is_refused(fields: dict[str, object]) -> None:
    report = {"kind": "purchase", "customer_id": "c", "visitor_id": "d", "at_ms": NOW_MS}
    bought = {"event": "e", "product_id": "p", "quantity": 1}
    decode_report(orjson.dumps({**report, "bought": bought}))
    with pytest.raises(InvalidEvent, match=r"customers\.not_report"):
        decode_report(orjson.dumps({**report, "bought": bought, **fields}))
