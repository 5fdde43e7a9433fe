"""What compiled steps tell and keep of purchases is what their definitions do, whatever is bought."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.customers import MAX_ORDERS, Customer, Device, pack_customer, unpack_customer
from contracts.events import Event
from contracts.fields import InvalidEvent
from contracts.order_reports import (
    MAX_REPORTS_IN_RECORD,
    LineReport,
    OrderReport,
    RefundReport,
    decode_reports,
)
from contracts.visitor import Visitor
from core_runs import entries_of
from cores import core_named, exact
from shoppers import NOW_MS, RULES, make_event
from stream.batch.core import Core
from stream.batch.counts import Counts
from stream.batch.step import Clock
from stream.components.customers.component import add_own
from stream.components.orders.component import records_of
from stream.components.orders.orders import UNKNOWN, Order, pack_order, unpack_order

LONG = "ö" * 64
PARTITIONS = 3
SPOILS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, 2**70, "", "a" * 16, "A" * 16, "0" * 15, "g" * 16, "JPY", "XXX",
    [], [[]], [[1, 2, 3]], [[NOW_MS, "1"]], [[NOW_MS, 1.0]], [[2**70, 1]], {}, "\ud7ff",
)  # fmt: skip


@pytest.fixture(scope="module")
def compiled() -> Core:
    return core_named("compiled")


def both(compiled: Core, definition: Callable[..., Any], *args: Any) -> Any:
    """What a step and its definition say, which must be the same."""
    step = compiled.of(definition)
    assert step is not definition
    expected, found = definition(*args), step(*args)
    assert exact(found) == exact(expected)
    return expected


@st.composite
def batches_of_purchases(draw: st.DrawFn) -> list[list[Event]]:
    """What a few visitors bought and gave back: in lines, again, late, with and without what is optional."""
    batches, number = [], 0
    for _ in range(draw(st.integers(1, 5))):
        batch = []
        for _ in range(draw(st.integers(0, 10))):
            number += 1
            kind = draw(st.sampled_from(("purchase",) * 6 + ("refund",)))
            batch.append(
                make_event(
                    kind,
                    draw(st.sampled_from((number, number, 3, 61))),
                    draw(st.sampled_from(("a", "b", "ç", ""))),
                    user=draw(st.sampled_from(("u1", "u2", LONG))),
                    event_id=f"e{number}",
                    order_id=draw(st.sampled_from((None, "o1", "o2", f"o{number}", f"o{number}", LONG))),
                    quantity=draw(st.sampled_from((1, 1, 3, 10**6))),
                    price_minor=draw(st.sampled_from((None, 0, 1_999, 10**12))),
                    currency=draw(st.sampled_from((None, "EUR", "EUR", "JPY"))),
                    customer_id=draw(st.sampled_from((None, None, None, "c1"))),
                    extra=draw(st.sampled_from((None, None, {"line": "2"}, {"line": 3}, {"line": "1#2"}))),
                )
            )
        batches.append(batch)
    return batches


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(batches_of_purchases(), st.booleans())
def test_purchases_are_told_and_kept_alike(batches: list[list[Event]], has_device: bool) -> None:
    compiled = core_named("compiled")
    clock = Clock(0, 0)
    visitors: dict[str, Visitor] = {}
    customers: dict[str, Customer] = {}
    orders: dict[str, Order] = {}
    if has_device:
        customers["u1"] = Customer(NOW_MS, NOW_MS, devices=(Device("phone", NOW_MS, NOW_MS),))
    for batch in batches:
        result = compiled.apply_batch(clock, entries_of([(event, 0) for event in batch]), visitors, RULES)
        clock, counts = result.clock, result.counts
        visitors |= result.visitors
        changed, _ = both(compiled, add_own, counts.purchases, counts.refunds, customers)
        for customer in changed.values():
            assert unpack_customer(both(compiled, pack_customer, customer)) == customer
        customers |= changed
        for record in both(compiled, records_of, counts, PARTITIONS):
            for key, told in both(compiled, decode_reports, record.value):
                orders[key] = order = orders.get(key, UNKNOWN).add(told)
                assert unpack_order(both(compiled, pack_order, order)) == order


def test_a_customer_with_as_many_orders_as_are_kept_gives_the_same(compiled: Core) -> None:
    customers: dict[str, Customer] = {}
    for number in range(MAX_ORDERS + 5):
        counts = counts_of(compiled, [make_event("purchase", number, order_id=f"o{number}")])
        changed, _ = both(compiled, add_own, counts.purchases, counts.refunds, customers)
        customers |= changed
        assert customers["u1"].n_orders == number + 1
    assert len(customers["u1"].orders) == MAX_ORDERS
    again = counts_of(compiled, [make_event("purchase", 99, "b", order_id="o0")])
    assert both(compiled, add_own, again.purchases, again.refunds, customers) == ({}, [])


def test_reports_of_any_number_are_told_in_the_same_records(compiled: Core) -> None:
    number = 2 * MAX_REPORTS_IN_RECORD + 1
    events = [make_event("purchase", i, order_id=f"o{i}", user=f"u{i % 7}") for i in range(number)]
    records = both(compiled, records_of, counts_of(compiled, events), 1)
    assert [len(decode_reports(record.value)) for record in records] == [500, 500, 1]


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(st.integers(-1, 9), st.sampled_from(SPOILS), st.booleans())
def test_what_is_no_report_is_refused_alike(place: int, value: Any, is_shorter: bool) -> None:
    compiled = core_named("compiled")
    fields = ["o1", "a" * 16, NOW_MS, "p", 1, 100, "EUR", "b" * 16, "c" * 16, [[NOW_MS, 1]]]
    if place >= 0:
        fields[place] = value
    if is_shorter:
        del fields[place]
    raw = dump([fields])
    assert outcome(compiled.of(decode_reports), raw) == outcome(decode_reports, raw)
    assert outcome(compiled.of(decode_reports), dump(fields)) == outcome(decode_reports, dump(fields))


@pytest.mark.parametrize("raw", [None, b"", b"{}", b"[1]", b"[[]]", b"[]", b"null", b"\xff"])
def test_what_is_no_list_of_reports_is_refused_alike(compiled: Core, raw: bytes | None) -> None:
    assert outcome(compiled.of(decode_reports), raw) == outcome(decode_reports, raw)


def test_orders_with_refunds_and_digests_of_earlier_versions_are_packed_alike(compiled: Core) -> None:
    line = LineReport("A" * 16, NOW_MS, "p", 1, None, None, "b" * 16, "c" * 16, ())
    refund = RefundReport("d" * 16, NOW_MS, "", 1, 5, "EUR")
    for order in (UNKNOWN, Order((line,)), Order((), (refund,)), Order((line._replace(event="a" * 20),))):
        both(compiled, pack_order, order)


def counts_of(core: Core, events: list[Event]) -> Counts:
    entries = entries_of([(event, 0) for event in events])
    return core.apply_batch(Clock(0, 0), entries, {}, RULES).counts


def dump(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a number of more than 64 bits
        return repr(value).replace("'", '"').replace("None", "null").replace("True", "true").encode()


def outcome(step: Callable[[bytes | None], list[OrderReport]], raw: bytes | None) -> object:
    """What a step says, or how it refuses."""
    try:
        return exact(step(raw))
    except InvalidEvent as exc:
        return exc.code, exc.detail
