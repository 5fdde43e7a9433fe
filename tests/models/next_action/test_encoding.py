"""One fold: what is encoded over files is what is encoded live."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.visitor import Action, Visitor
from models.next_action.encoding import (
    CONTEXT_FEATURES,
    MAX_STEPS,
    STEP_FEATURES,
    Encoding,
    encode_actions,
    encode_context,
    encode_visitor,
    stack,
    stack_ids,
)
from models.next_action.fold import hash_id, hash_names
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from shoppers import make_action
from stream.visitors.session import KEEP_ACTIONS, SessionSettings, absorb

IDLE_MS = 30 * 60_000
RULES = SessionSettings(idle_ms=IDLE_MS, disorder_ms=60_000)
LEVEL = PriceLevel(5.0, 100.0)

names = st.sampled_from([None, "a", "b", "c"])
shopping = st.tuples(
    st.sampled_from(["view", "favorite", "cart", "remove_from_cart", "purchase"]),
    st.sampled_from([0.0, 1.0, 5.0, 90.0, 1_800.0, 1_801.0, 90_000.0]),
    st.sampled_from([f"p{i}" for i in range(6)]),
    st.integers(1, 3),
    st.sampled_from([None, 0, 100, 2_500]),
    names,
    names,
)


def make_actions(drawn: list[tuple[Any, ...]]) -> list[Action]:
    """Actions one after the other; the second number of each is the gap before it in seconds."""
    actions, at_s = [], 0.0
    for index, (kind, gap_s, product, quantity, price, category, brand) in enumerate(drawn):
        at_s += gap_s
        action = make_action(kind, at_s, product, quantity=quantity, price=price, name=str(index))
        actions.append(action._replace(category=category, brand=brand))
    return sorted(actions)


def absorbed(actions: list[Action], batch: int) -> Visitor:
    """The live state after the actions arrived in batches."""
    visitor = None
    for start in range(0, len(actions), batch):
        visitor, _ = absorb(visitor, actions[start : start + batch], RULES)
    assert visitor is not None
    return visitor


def named(row: tuple[float, ...], names: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(names, row, strict=True))


def context_of(*actions: Action, level: PriceLevel = LEVEL) -> dict[str, float]:
    return named(encode_actions(sorted(actions), level, IDLE_MS)[1], CONTEXT_FEATURES)


def steps_of(*actions: Action, level: PriceLevel = LEVEL) -> list[dict[str, float]]:
    return [named(row, STEP_FEATURES) for row in encode_actions(sorted(actions), level, IDLE_MS)[0]]


@settings(deadline=None, max_examples=150)
@given(st.lists(shopping, min_size=1, max_size=40), st.integers(1, 50), st.integers(1, 6))
def test_a_live_visitor_is_encoded_as_its_whole_history_is(
    drawn: list[tuple[Any, ...]], batch: int, times: int
) -> None:
    actions = make_actions(drawn * times)
    visitor = absorbed(actions, batch)
    whole = encode_actions(actions, LEVEL, IDLE_MS)
    assert encode_visitor(visitor, LEVEL, IDLE_MS) == whole
    assert encode_context(visitor, LEVEL, IDLE_MS) == whole[1]


@pytest.mark.parametrize("gap_s", [20, 1_000, 1_700])
@pytest.mark.parametrize("per_session", [7, 100, 1_000])
def test_long_visitors_with_settled_actions_are_encoded_alike(gap_s: int, per_session: int) -> None:
    kinds = ["view", "cart", "view", "favorite", "remove_from_cart", "view", "purchase", "cart"]
    drawn = [
        (kinds[i * i % 8], gap_s if i % per_session else 90_000, f"p{i % 11}", 1 + i % 3, 50 + i, "c", None)
        for i in range(333)
    ]
    actions = make_actions(drawn)
    for n in range(1, len(actions) + 1, 7):
        visitor = absorbed(actions[:n], 9)
        whole = encode_actions(actions[:n], LEVEL, IDLE_MS)
        assert encode_visitor(visitor, LEVEL, IDLE_MS) == whole
        assert encode_context(visitor, LEVEL, IDLE_MS) == whole[1]
    assert visitor.base is not None
    assert visitor.tail.size >= KEEP_ACTIONS


def test_a_full_cart_loses_the_same_line_as_in_the_stream() -> None:
    actions = make_actions([("cart", 1.0, f"p{i}", 1, 100, None, None) for i in range(250)])
    visitor = absorbed(actions, 40)
    assert encode_visitor(visitor, LEVEL, IDLE_MS) == encode_actions(actions, LEVEL, IDLE_MS)


def test_a_gap_over_idle_begins_new_rows_and_keeps_cart_and_history() -> None:
    encoding = Encoding(idle_ms=IDLE_MS, level=LEVEL)
    encoding.push(make_action("cart", 0, "a", quantity=2))
    encoding.push(make_action("purchase", 1, "b"))
    encoding.push(make_action("view", 1_802, "a"))
    assert len(encoding.steps()) == 1
    context = named(encoding.context(), CONTEXT_FEATURES)
    assert context["n_actions_log"] == pytest.approx(np.log1p(1))
    assert context["session_number_log"] == pytest.approx(np.log1p(2))
    assert context["earlier_actions_log"] == pytest.approx(np.log1p(2))
    assert context["earlier_purchases_log"] == pytest.approx(np.log1p(1))
    assert context["since_last_session_log"] == pytest.approx(np.log1p(1_801))
    assert context["cart_units_log"] == pytest.approx(np.log1p(2))
    assert context["cart_carried_log"] == pytest.approx(np.log1p(1))
    assert context["product_in_cart"] == 1
    assert context["product_seen_earlier"] == 1


def test_a_gap_of_exactly_idle_goes_on_with_the_session() -> None:
    assert len(steps_of(make_action("view", 0), make_action("view", 1_800))) == 2


def test_a_step_tells_what_was_there_before_it() -> None:
    first = make_action("cart", 0, "a")._replace(category="shoes", brand="x")
    other = make_action("view", 10, "b", price=400)._replace(category="shoes", brand="y")
    again = make_action("remove_from_cart", 70, "a")._replace(category="shoes", brand="x")
    one, two, three = steps_of(first, other, again)
    assert (one["is_cart"], one["product_seen"], one["was_in_cart"], one["gap_log"]) == (1, 0, 0, 0)
    assert one["cart_lines_log"] == pytest.approx(np.log1p(1))
    assert (two["same_category"], two["same_brand"], two["product_seen"]) == (1, 0, 0)
    assert two["price_vs_session"] == pytest.approx(np.log(4))
    assert two["price_vs_shop"] == pytest.approx(np.log(400) - 5.0)
    assert (three["product_seen"], three["same_product"], three["was_in_cart"]) == (1, 0, 1)
    assert (three["brand_seen"], three["same_brand"], three["has_cart_value"]) == (1, 0, 0)
    assert three["gap_log"] == pytest.approx(np.log1p(60))
    assert three["elapsed_log"] == pytest.approx(np.log1p(70))


def test_without_a_price_or_a_level_no_price_is_high_or_low() -> None:
    (step,) = steps_of(make_action("cart", 0, price=None))
    assert (step["has_price"], step["price_vs_shop"], step["has_cart_value"]) == (0, 0, 0)
    (step,) = steps_of(make_action("cart", 0, price=9_900), level=UNKNOWN_LEVEL)
    assert (step["has_price"], step["price_vs_shop"]) == (1, 0)
    assert (step["has_cart_value"], step["cart_value_vs_shop"]) == (1, 0)


def test_the_context_knows_what_was_done_with_the_product() -> None:
    context = context_of(
        make_action("cart", 0, "a"), make_action("remove_from_cart", 5, "a"), make_action("view", 9, "a")
    )
    assert (context["product_carted"], context["product_removed"], context["product_bought"]) == (1, 1, 0)
    assert context["product_in_cart"] == 0
    assert context["product_run_log"] == pytest.approx(np.log1p(3))
    assert context["steps_since_cart_log"] == pytest.approx(np.log1p(2))
    assert context["time_since_cart_log"] == pytest.approx(np.log1p(9))
    assert context["repeat_share"] == pytest.approx(2 / 3)


def test_a_model_sees_the_last_steps_only() -> None:
    rows, _ = encode_actions([make_action("view", i) for i in range(100)], LEVEL, IDLE_MS)
    assert len(rows) == MAX_STEPS
    assert named(rows[-1], STEP_FEATURES)["position_log"] == pytest.approx(np.log1p(100))


def test_names_of_products_categories_and_brands_do_not_matter() -> None:
    def told(a: str, b: str) -> list[Action]:
        return [
            make_action(kind, at_s, product)._replace(category=product + "c", brand=product + "b")
            for kind, at_s, product in [("view", 0, a), ("view", 5, b), ("cart", 9, a), ("view", 12, b)]
        ]

    assert encode_actions(told("a", "b"), LEVEL, IDLE_MS) == encode_actions(told("x", "y"), LEVEL, IDLE_MS)


def test_a_batch_is_left_aligned_and_zero_padded() -> None:
    short = encode_actions([make_action("view", 0)], LEVEL, IDLE_MS)
    long = encode_actions([make_action("view", 0), make_action("cart", 3)], LEVEL, IDLE_MS)
    steps, lengths, context = stack([short, long])
    assert steps.shape == (2, 2, len(STEP_FEATURES))
    assert context.shape == (2, len(CONTEXT_FEATURES))
    assert lengths.tolist() == [1, 2]
    assert not steps[0, 1].any()
    np.testing.assert_allclose(steps[1], np.array(long[0]), rtol=1e-6)


def test_an_empty_batch_has_its_shape() -> None:
    steps, lengths, context = stack([])
    assert steps.shape == (0, 1, len(STEP_FEATURES))
    assert (len(lengths), context.shape) == (0, (0, len(CONTEXT_FEATURES)))


def test_ids_are_hashes_that_do_not_change_between_runs() -> None:
    assert (hash_id(None), hash_id("p1")) == (0, 1_060_662_068)
    action = make_action("view", 0, "p1")._replace(brand="x")
    assert hash_names(action) == (hash_id("p1"), 0, hash_id("x"))
    assert hash_id("\x000") == 0, "a name that was not told is none"


def test_ids_are_of_the_last_steps_and_zero_in_the_padding() -> None:
    actions = [make_action("view", i, f"p{i}") for i in range(40)]
    ids = stack_ids([actions[:2], actions], np.array([1, MAX_STEPS]))
    assert ids.shape == (2, MAX_STEPS, 3)
    assert ids[0, 0].tolist() == [hash_id("p1"), 0, 0]
    assert not ids[0, 1:].any()
    assert ids[1, :, 0].tolist() == [hash_id(f"p{i}") for i in range(8, 40)]
    assert stack_ids([], np.array([], dtype=np.int64)).shape == (0, 1, 3)


def test_the_price_level_follows_the_prices_of_the_shop() -> None:
    level = UNKNOWN_LEVEL
    for price in (100, None, 0, 400):
        level = level.after(price)
    assert level.weight == 2
    assert level.mean_log == pytest.approx(np.log(200))
