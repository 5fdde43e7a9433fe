"""Customers that earlier versions wrote are what they were, and get refunds from where they are."""

import base64

import pytest

from contracts.blob_formats import LaterFormat
from contracts.customers import (
    FORMAT,
    FORMAT_WITH_REFUNDS,
    Bought,
    Customer,
    CustomerReport,
    ReportKind,
    check_customer,
    pack_customer,
    unpack_customer,
)
from golden_files import Values, golden_customers, to_json
from stream.components.customers.record import add_report

PLAIN, WITH_REFUNDS = golden_customers("1d34599"), golden_customers("adc872d")
AT_MS = 1_748_854_900_000


def blob_of(golden: Values) -> bytes:
    return base64.b64decode(golden["blob"])


def values_of(customer: Customer) -> Values:
    """The record as the files have it."""
    orders = [
        {**order._asdict(), "lines": [line._asdict() for line in order.lines]} for order in customer.orders
    ]
    lists = {name: [one._asdict() for one in getattr(customer, name)] for name in ("devices", "refunds")}
    values: Values = to_json({**customer._asdict(), **lists, "orders": orders})
    return values


def named(goldens: list[Values], name: str) -> Customer:
    return unpack_customer(next(blob_of(golden) for golden in goldens if golden["name"] == name))


def tell(customer: Customer, kind: ReportKind, event: str, *bought: object) -> Customer:
    report = CustomerReport(kind, "anna", "d1", AT_MS, Bought(event, *bought))  # type: ignore[arg-type]
    after = add_report(customer, report)
    assert after is not None
    return after


@pytest.mark.parametrize("golden", PLAIN, ids=lambda golden: golden["name"])
def test_a_customer_without_refunds_is_read_and_written_as_it_was(golden: Values) -> None:
    customer = unpack_customer(blob_of(golden))
    check_customer(customer)
    assert values_of(customer) == {**golden["values"], "refunds": []}
    assert blob_of(golden)[1] == FORMAT
    assert pack_customer(customer) == blob_of(golden)


@pytest.mark.parametrize("golden", WITH_REFUNDS, ids=lambda golden: golden["name"])
def test_a_customer_with_refunds_is_read_and_written_as_it_was(golden: Values) -> None:
    customer = unpack_customer(blob_of(golden))
    check_customer(customer)
    assert values_of(customer) == golden["values"]
    assert blob_of(golden)[1] == FORMAT_WITH_REFUNDS
    assert pack_customer(customer) == blob_of(golden)


def test_amounts_that_an_earlier_version_noted_are_not_given_back_again() -> None:
    name = "a piece, then an amount, then the rest back"
    customer = named(PLAIN, name)
    assert customer.refunded_minor == {"EUR": 5_997, "JPY": 500}
    again = tell(customer, ReportKind.REFUND, f"ff{1:014x}", "o1", "p1", 1, None, None)
    assert again == customer
    nothing = tell(customer, ReportKind.REFUND, "new", "o1", "", 1, None, None)
    assert nothing.refunded_minor == customer.refunded_minor
    assert pack_customer(nothing)[1] == FORMAT_WITH_REFUNDS
    more = tell(nothing, ReportKind.PURCHASE, "line", "o1", "p9", 1, 100, "EUR")
    assert more.refunded_minor == {"EUR": 6_097, "JPY": 500}


def test_a_refund_of_an_unknown_order_that_an_earlier_version_counted_stays() -> None:
    customer = named(PLAIN, "refunds alone")
    bought = tell(customer, ReportKind.PURCHASE, "line", "o9", "p9", 1, 100, "KWD")
    assert (bought.n_orders, bought.refunded_minor) == (1, {"KWD": 5})
    assert (bought.first_ms, bought.last_ms) == (AT_MS, AT_MS)


def test_the_next_format_is_left_as_it_is() -> None:
    for blob in map(blob_of, (PLAIN[0], WITH_REFUNDS[0])):
        later = blob[:1] + bytes([FORMAT_WITH_REFUNDS + 1]) + blob[2:]
        with pytest.raises(LaterFormat, match="format 3, this version reads up to 2"):
            unpack_customer(later)


@pytest.mark.parametrize("version", [FORMAT_WITH_REFUNDS, 0, 128])
def test_a_record_whose_fields_do_not_fit_its_format_is_none(version: int) -> None:
    blob = blob_of(PLAIN[0])
    with pytest.raises(ValueError, match="unknown format"):
        unpack_customer(blob[:1] + (b"\xcc" if version > 127 else b"") + bytes([version]) + blob[2:])
