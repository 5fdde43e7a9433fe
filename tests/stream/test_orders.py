"""Orders of the whole shop: each once, whoever tells of it, and what went back of it."""

import itertools
from collections import Counter
from typing import Any

import pytest

from contracts.buckets import Metric
from contracts.fields import InvalidEvent
from contracts.order_reports import LineReport, OrderReport, RefundReport, decode_reports, encode_reports
from shoppers import MINUTE_MS, NOW_MS
from stream.components.orders.orders import (
    UNKNOWN,
    Effects,
    Order,
    change_of,
    effects_of,
    pack_order,
    unpack_order,
)

START = NOW_MS - NOW_MS % MINUTE_MS
ANN, BOB = "aa" * 8, "bb" * 8


def line(number: int, product: str = "a", *, by: str = ANN, at_min: int = 0, **fields: Any) -> LineReport:
    """A line of one piece at 1.00, with which its visitor counted an order."""
    at_ms = START + at_min * MINUTE_MS
    orders = ((at_ms, 1),)
    told = f"{sum(map(ord, product)):016x}"
    return LineReport(f"{number:016x}", at_ms, product, 1, 100, "EUR", told, by, orders)._replace(**fields)


def refund(
    number: int, product: str = "", price: int | None = None, *, at_min: int = 9, quantity: int = 1
) -> RefundReport:
    currency = None if price is None else "EUR"
    return RefundReport(f"ff{number:014x}", START + at_min * MINUTE_MS, product, quantity, price, currency)


def order_of(*reports: LineReport | RefundReport) -> Order:
    order = UNKNOWN
    for report in reports:
        order = order.add(report)
    return order


def shop_sums(effects: Effects) -> dict[str, int]:
    """What the shop's counters get, all minutes together."""
    sums: Counter[str] = Counter()
    for (_, metric, product), number in effects.items():
        if not product:
            sums[metric] += number
    return {metric: number for metric, number in sums.items() if number}


def test_an_order_told_once_needs_no_correction() -> None:
    first, second = line(1, "a"), line(2, "b", orders=())
    assert effects_of(order_of(first, second)) == {}
    assert effects_of(order_of(line(1, ""))) == {}


def test_an_order_that_was_counted_with_a_line_nobody_reported_is_left_alone() -> None:
    moved = ((START, 1), (START + MINUTE_MS, -1))
    for changes in ((), moved):
        assert effects_of(order_of(line(2, "b", orders=changes))) == {}


def test_what_a_second_visitor_tells_is_taken_back_where_it_was_counted() -> None:
    order = order_of(line(1), line(2, by=BOB, at_min=3))
    at = START + 3 * MINUTE_MS
    taken = {Metric.PURCHASES: -1, Metric.UNITS: -1, "m.EUR": -100}
    assert effects_of(order) == {
        **{(at, metric, product): n for metric, n in taken.items() for product in ("", "a")},
        (at, Metric.ORDERS, ""): -1,
    }


def test_an_order_told_as_an_amount_and_as_lines_counts_as_it_was_told_first() -> None:
    whole = line(1, "", at_min=2, price_minor=250)
    lines = [line(2, "a", at_min=1, by=BOB), line(3, "b", by=BOB, orders=())]
    sums = shop_sums(effects_of(order_of(*lines, whole)))
    assert sums == {Metric.PURCHASES: -1, "m.EUR": -250, Metric.ORDERS: -1}
    later = [told._replace(at_ms=told.at_ms + 5 * MINUTE_MS) for told in lines]
    assert shop_sums(effects_of(order_of(whole, *later)))["m.EUR"] == -200


def test_a_visitor_whose_state_was_lost_counts_the_order_again_and_it_is_taken_back() -> None:
    again = line(7, at_min=60 * 24 * 9)
    assert shop_sums(effects_of(order_of(line(1), again))) == {
        Metric.PURCHASES: -1, Metric.UNITS: -1, "m.EUR": -100, Metric.ORDERS: -1,
    }  # fmt: skip


def test_refunds_are_of_what_was_told_of_pieces_or_of_all_that_is_left() -> None:
    lines = [line(1, "a", quantity=3), line(2, "b", price_minor=1_000, orders=())]
    told = shop_sums(effects_of(order_of(*lines, refund(1, "a", 50, quantity=2))))
    assert told == {"r.EUR": 100, Metric.RETURNED: 2}
    assert shop_sums(effects_of(order_of(*lines, refund(1, "a", quantity=2)))) == {
        "r.EUR": 200, Metric.RETURNED: 2,
    }  # fmt: skip
    everything = effects_of(order_of(*lines, refund(1, "a"), refund(2, price=300), refund(3), refund(4)))
    assert shop_sums(everything) == {"r.EUR": 1_300, Metric.RETURNED: 4}
    assert {at for at, _, _ in everything} == {START + 9 * MINUTE_MS}


def test_a_line_in_two_parts_goes_back_to_the_cent() -> None:
    parts = [
        line(1, "a", quantity=2, price_minor=333),
        line(2, "a", price_minor=334, line="22" * 8, orders=()),
    ]
    assert shop_sums(effects_of(order_of(*parts, refund(1, "a", quantity=3))))["r.EUR"] == 1_000
    one_by_one = [refund(n, "a") for n in range(3)]
    assert shop_sums(effects_of(order_of(*parts, *one_by_one)))["r.EUR"] == 1_000


def test_no_more_goes_back_than_was_paid_as_far_as_the_order_is_known() -> None:
    assert shop_sums(effects_of(order_of(line(1), refund(1, price=900))))["r.EUR"] == 100
    assert shop_sums(effects_of(order_of(refund(1, price=900)))) == {"r.EUR": 900}
    assert effects_of(order_of(refund(1), refund(2, "a"))) == {}
    other = refund(1, price=900)._replace(currency="USD")
    assert shop_sums(effects_of(order_of(line(1), other))) == {"r.USD": 900}


def test_any_order_of_arrival_comes_to_the_same() -> None:
    reports: list[LineReport | RefundReport] = [
        line(1),
        line(2, "b", at_min=1, orders=()),
        line(3, by=BOB, at_min=2),
        refund(1, "a"),
        refund(2),
    ]
    expected = effects_of(order_of(*reports))
    for arrived in itertools.permutations(reports):
        sums: Counter[tuple[int, str, str]] = Counter()
        order = UNKNOWN
        for report in arrived:
            after = order.add(report)
            for place, number in change_of(order, after).items():
                sums[place] += number
            order = after
        assert {place: number for place, number in sums.items() if number} == expected


def test_an_order_survives_its_blob_and_reports_the_wire() -> None:
    order = order_of(line(1), line(2, "é", price_minor=None, currency=None), refund(1), refund(2, "a", 5))
    assert unpack_order(pack_order(order)) == order
    told: list[LineReport | RefundReport] = [*order.lines, *order.refunds]
    reports = [OrderReport("o\u00e9", each) for each in told]
    assert decode_reports(encode_reports(reports)) == reports
    assert all(order.knows(report.content.event) for report in reports)


REPORT = b'[["o",%s]]'


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"{",
        b"1",
        b"[1]",
        b'[["o"]]',
        b'[["o","e",1,"p",1,null,2]]',
        b'[["o","e",1,"p",1,2,null,"l"]]',
        REPORT % b'"no digest",1,"p",1,2,"EUR"',
        REPORT % b'"00000000000000ff",1,"p",1,2,"EUS"',
        REPORT % b'"00000000000000ff",9007199254740992,"p",1,2,"EUR"',
        REPORT % b'"00000000000000ff",1,"p",1,2,"EUR","line","visitor",[]',
        REPORT % b'"00000000000000ff",1,"p",1,2,"EUR","00000000000000ff","00000000000000ff",[[1e400,1]]',
        REPORT % b'"00000000000000ff",1,"p",1,2,"EUR","00000000000000ff","00000000000000ff",[[60000,1e400]]',
        REPORT % (b'"00000000000000ff",1,"p",1,2,"EUR",' + b"[" * 1_000 + b"]" * 1_000 + b',"",[]'),
    ],
)
def test_what_is_no_report_is_refused(raw: bytes | None) -> None:
    with pytest.raises(InvalidEvent, match=r"orders\.not_reports"):
        decode_reports(raw)
