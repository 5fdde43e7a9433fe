"""States of visitors that an earlier version left in Redis are read, and written again as they were."""

import pytest

from contracts.visitor import unpack_visitor
from cores import NAMES, core_named
from golden_files import GoldenVisitor, golden_visitors, visitor_values
from stream.batch.core import Core

VISITORS = golden_visitors()
each_visitor = pytest.mark.parametrize("golden", VISITORS, ids=lambda golden: golden.name)


@pytest.fixture(scope="module", params=NAMES)
def core(request: pytest.FixtureRequest) -> Core:
    """The steps in Python and those compiled, one after the other."""
    return core_named(request.param)


@each_visitor
def test_a_state_is_read(golden: GoldenVisitor) -> None:
    assert visitor_values(unpack_visitor(golden.blob)) == golden.values


@each_visitor
def test_a_state_that_needs_nothing_else_is_written_byte_for_byte(golden: GoldenVisitor, core: Core) -> None:
    assert core.pack_visitors([unpack_visitor(golden.blob)]) == [golden.repacked]


@each_visitor
def test_what_was_written_again_means_the_same(golden: GoldenVisitor) -> None:
    assert visitor_values(unpack_visitor(golden.repacked)) == golden.values


def test_every_kind_of_state_is_among_them() -> None:
    formats = {golden.blob[1] for golden in VISITORS}
    open_kinds = {tuple(a["kind"] for a in g.values["alert_state"]["open"]) for g in VISITORS}
    assert formats == {1, 2, 3}
    assert {("churn_risk",), ("cart_abandoned",), ("churn_risk", "cart_abandoned"), ()} <= open_kinds
    assert any(golden.values["base"] for golden in VISITORS)
    assert any(golden.values["unjudged"]["pending"] for golden in VISITORS)
