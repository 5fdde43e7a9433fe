"""Visitors with refunds that an earlier version wrote are what they were, and go on from there."""

import base64

import pytest

from contracts.visitor import REFUNDED, pack_visitor, unpack_visitor
from contracts.visitor_check import check_visitor
from contracts.visitor_refunds import refunds_of
from golden_files import Values, golden_refunded_visitors, to_json
from shoppers import Shop, make_entries, make_event

GOLDEN = golden_refunded_visitors("adc872d")


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["name"])
def test_a_visitor_with_refunds_is_read_and_written_as_it_was(golden: Values) -> None:
    blob = base64.b64decode(golden["blob"])
    visitor = unpack_visitor(blob)
    check_visitor(visitor)
    assert visitor.extra.get(REFUNDED, {}) == golden["refunded"]
    assert to_json([refund._asdict() for refund in refunds_of(visitor)]) == golden["refunds"]
    assert pack_visitor(visitor) == blob


def test_a_refund_that_an_earlier_version_kept_waits_for_its_order() -> None:
    shop = Shop()
    golden = next(golden for golden in GOLDEN if golden["name"] == "a refund that waits")
    shop.visitors["u1"] = unpack_visitor(base64.b64decode(golden["blob"]))
    shop.apply(make_entries([make_event("purchase", 60, "a", order_id="o1", quantity=2)]))
    assert shop.visitors["u1"].extra[REFUNDED] == {"EUR": 200}
