"""Forward decay gives the same scores as decaying every action by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.buckets import TREND_LANDMARK_MS
from contracts.events import EventType
from models.trending import (
    ACTION_WEIGHTS,
    contribution,
    decay_since,
    landmark_of,
    landmarks_as_of,
    merge_scores,
    top_products,
)

HALF_LIFE_MS = 30 * 60_000
NOON_MS = 20_000 * TREND_LANDMARK_MS + TREND_LANDMARK_MS // 2


def test_every_event_type_but_a_refund_has_a_weight() -> None:
    assert set(ACTION_WEIGHTS) == set(EventType) - {EventType.REFUND}
    assert (
        ACTION_WEIGHTS[EventType.VIEW] < ACTION_WEIGHTS[EventType.FAVORITE] < ACTION_WEIGHTS[EventType.CART]
    )
    assert ACTION_WEIGHTS[EventType.CART] < ACTION_WEIGHTS[EventType.PURCHASE]


def test_a_view_now_scores_one_and_half_of_it_a_half_life_later() -> None:
    landmark_ms = landmark_of(NOON_MS)
    stored = {"p": contribution(NOON_MS, 1.0, landmark_ms, HALF_LIFE_MS)}
    now = merge_scores([(landmark_ms, stored)], as_of_ms=NOON_MS, half_life_ms=HALF_LIFE_MS)
    later = merge_scores([(landmark_ms, stored)], as_of_ms=NOON_MS + HALF_LIFE_MS, half_life_ms=HALF_LIFE_MS)
    assert now["p"] == pytest.approx(1.0)
    assert later["p"] == pytest.approx(0.5)


def test_the_first_moment_of_a_day_is_its_own_landmark() -> None:
    midnight_ms = 20_000 * TREND_LANDMARK_MS
    assert landmark_of(midnight_ms) == midnight_ms
    assert landmark_of(midnight_ms - 1) == midnight_ms - TREND_LANDMARK_MS
    assert landmarks_as_of(midnight_ms) == (midnight_ms, midnight_ms - TREND_LANDMARK_MS)


def test_the_shortest_half_life_stays_finite_over_a_whole_landmark() -> None:
    assert math.isfinite(contribution(TREND_LANDMARK_MS - 1, 8.0, 0, 120_000) * 1e9)


@given(
    actions=st.lists(
        st.tuples(
            st.integers(NOON_MS - TREND_LANDMARK_MS, NOON_MS),
            st.sampled_from([1.0, 2.0, 4.0, 8.0]),
            st.sampled_from("abc"),
            st.integers(0, 3),
        ),
        max_size=40,
    ),
    half_life_ms=st.integers(120_000, 86_400_000),
)
def test_scores_of_partitions_and_landmarks_merge_to_plain_exponential_decay(
    actions: list[tuple[int, float, str, int]], half_life_ms: int
) -> None:
    stored: dict[tuple[int, int], dict[str, float]] = {}
    expected: dict[str, float] = {}
    for at_ms, weight, product_id, partition in actions:
        landmark_ms = landmark_of(at_ms)
        scores = stored.setdefault((partition, landmark_ms), {})
        added = contribution(at_ms, weight, landmark_ms, half_life_ms)
        scores[product_id] = scores.get(product_id, 0.0) + added
        decayed = weight * 2.0 ** ((at_ms - NOON_MS) / half_life_ms)
        expected[product_id] = expected.get(product_id, 0.0) + decayed
    parts = [(landmark_ms, scores) for (_, landmark_ms), scores in stored.items()]
    merged = merge_scores(parts, as_of_ms=NOON_MS, half_life_ms=half_life_ms)
    assert merged == pytest.approx(expected)


def test_decay_since_the_moment_itself_is_one() -> None:
    assert decay_since(NOON_MS, NOON_MS, HALF_LIFE_MS) == 1.0


def test_top_products_breaks_ties_by_product_id() -> None:
    assert top_products({"b": 1.0, "a": 1.0, "c": 3.0, "d": 0.5}, 3) == [("c", 3.0), ("a", 1.0), ("b", 1.0)]
