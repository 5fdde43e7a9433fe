"""What models read of live visitors is the same compiled and in Python, whatever their states hold."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.visitor import Action, Tail, Visitor
from cores import core_named
from models.next_action.item_counts import ItemCounts
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from models.next_action.rates import RATE_FEATURES, SHOP, Funnel, category_name, product_name
from shoppers import make_action
from stream.batch.core import PYTHON
from stream.components.items import PartitionItems
from stream.scoring.item_pool import PooledItems, rates_of_visitors
from stream.visitors.session import SessionSettings, absorb

IDLE_MS = 30 * 60_000
RULES = SessionSettings(idle_ms=IDLE_MS, disorder_ms=60_000)
LEVELS = (UNKNOWN_LEVEL, PriceLevel(5.0, 100.0), PriceLevel(7.25, 1.0))

deeds = st.tuples(
    st.sampled_from(["view", "view", "favorite", "cart", "remove_from_cart", "purchase"]),
    st.sampled_from([0.0, 1.0, 5.0, 90.0, 1_800.0, 1_801.0, 90_000.0]),
    st.sampled_from([*[f"p{i}" for i in range(6)], "ü" * 140, ""]),
    st.integers(1, 3),
    st.sampled_from([None, 0, 100, 2_500, 10**11]),
    st.sampled_from([None, "a", "b", "Schuhe für Käthe"]),
    st.sampled_from([None, "x", "b" * 256]),
)


names = st.sampled_from(
    [SHOP, *[product_name(f"p{i}") for i in range(6)], category_name("a"), category_name("b")]
)
numbers = st.integers(0, 90)
partitions = st.builds(
    PartitionItems,
    st.dictionaries(names, st.builds(ItemCounts, numbers, numbers, numbers, st.just(1))),
    st.dictionaries(names, st.builds(ItemCounts, numbers, numbers, numbers, st.just(2))),
    st.frozensets(names, max_size=3),
)
pools = st.builds(
    PooledItems,
    st.dictionaries(names, st.builds(Funnel, numbers, numbers, numbers)),
    st.lists(partitions, max_size=4).map(tuple),
)


def visitor_of(drawn: list[tuple[Any, ...]], batch: int) -> Visitor:
    """Who did all this, as it arrived in batches; the second number of each is the gap before it (s)."""
    actions: list[Action] = []
    at_s = 0.0
    for index, (kind, gap_s, product, quantity, price, category, brand) in enumerate(drawn):
        at_s += gap_s
        action = make_action(kind, at_s, product, quantity=quantity, price=price, name=str(index))
        actions.append(action._replace(category=category, brand=brand))
    actions.sort()
    visitor = None
    for start in range(0, len(actions), batch):
        visitor, _ = absorb(visitor, actions[start : start + batch], RULES)
    assert visitor is not None
    return visitor


def check_same(visitors: list[Visitor], levels: list[PriceLevel]) -> None:
    """Both encode them to the same arrays; one unit in the last place is left to how sums are taken."""
    steps, lengths, context = core_named("compiled").encode_visitors(visitors, levels, IDLE_MS)
    expected = PYTHON.encode_visitors(visitors, levels, IDLE_MS)
    assert lengths.tolist() == expected[1].tolist()
    assert (steps.dtype, lengths.dtype, context.dtype) == tuple(each.dtype for each in expected)
    np.testing.assert_array_max_ulp(steps, expected[0], maxulp=1)
    np.testing.assert_array_max_ulp(context, expected[2], maxulp=1)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.lists(deeds, min_size=1, max_size=40), st.integers(1, 6)), min_size=1, max_size=4),
    st.integers(1, 50),
    st.sampled_from(LEVELS),
)
def test_any_visitors_are_encoded_the_same(
    drawn: list[tuple[list[tuple[Any, ...]], int]], batch: int, level: PriceLevel
) -> None:
    visitors = [visitor_of(done * times, batch) for done, times in drawn]
    levels = [level, *[LEVELS[1]] * (len(visitors) - 1)]
    check_same(visitors, levels)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.lists(deeds, min_size=1, max_size=40), st.integers(1, 6)), min_size=1, max_size=4),
    st.lists(pools, min_size=1, max_size=2),
)
def test_any_visitors_have_the_same_rates(
    drawn: list[tuple[list[tuple[Any, ...]], int]], known: list[PooledItems]
) -> None:
    visitors = [visitor_of(done * times, 7) for done, times in drawn]
    pooled = [known[place % len(known)] for place in range(len(visitors))]
    found = core_named("compiled").of(rates_of_visitors)(visitors, pooled)
    expected = rates_of_visitors(visitors, pooled)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_nobody_has_no_rates() -> None:
    for core in (PYTHON, core_named("compiled")):
        assert core.of(rates_of_visitors)([], []).shape == (0, len(RATE_FEATURES))


def test_a_cart_that_is_full_loses_the_same_line() -> None:
    everything = [("cart", 1.0, f"p{i}", 1, 100 + i, None, None) for i in range(250)]
    for batch in (7, 250):
        check_same([visitor_of(everything, batch)], [LEVELS[1]])
        check_same([visitor_of([*everything, ("remove_from_cart", 1.0, "p240", 1, None, None, None)], batch)],
                   [LEVELS[1]])  # fmt: skip


def test_nobody_is_encoded_to_nothing() -> None:
    check_same([], [])


@pytest.mark.parametrize("price", [1 << 41, (1 << 63) + 5])
def test_numbers_beyond_the_contract_go_the_way_of_the_definition(price: int) -> None:
    drawn = [("cart", 1.0, "p1", 1, price, None, None), ("view", 1.0, "p2", 1, 5, None, None)]
    check_same([visitor_of(drawn, 1), visitor_of(drawn[:1], 1)], [LEVELS[1]] * 2)


@pytest.mark.parametrize(
    "packed", [b"", b"\x9a\x01", b"\x93\x01\x02\x03", b"\xc1", b"\x9a" + b"\xc4\xff" * 9]
)
def test_a_tail_that_cannot_be_read_is_an_error_in_both(packed: bytes) -> None:
    visitor = visitor_of([("view", 1.0, "p1", 1, 5, None, None)], 1)
    spoiled = visitor._replace(tail=Tail(packed, 1, visitor.tail.last))
    for core in (PYTHON, core_named("compiled")):
        with pytest.raises((ValueError, TypeError, IndexError)):  # whatever msgpack makes of it
            core.encode_visitors([spoiled], [LEVELS[1]], IDLE_MS)
        with pytest.raises((ValueError, TypeError, IndexError)):
            core.of(rates_of_visitors)([spoiled], [PooledItems({}, ())])
