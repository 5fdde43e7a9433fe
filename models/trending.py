"""Trending scores with exponential decay, kept as sums that only grow.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay: A Practical Time Decay Model for Streaming
Systems", ICDE 2009): an event is weighed once, when it comes, relative to a fixed landmark before it. Sums of
such weights can be added in any order and over any number of partitions; one division by the growth since the
landmark gives the decayed score as of any time.
"""

import heapq
from collections.abc import Iterable, Mapping

from contracts.buckets import TREND_LANDMARK_MS
from contracts.events import EventType

ACTION_WEIGHTS: dict[EventType, float] = {
    EventType.VIEW: 1.0,
    EventType.FAVORITE: 2.0,
    EventType.CART: 4.0,
    EventType.REMOVE_FROM_CART: 0.0,
    EventType.PURCHASE: 8.0,
}
"""What one action says about interest in a product, in views. A remove takes nothing back."""


def landmark_of(at_ms: int) -> int:
    """Start of the landmark bucket that holds `at_ms`."""
    return at_ms - at_ms % TREND_LANDMARK_MS


def landmarks_as_of(as_of_ms: int) -> tuple[int, int]:
    """The landmarks whose scores count as of a time: its own and the one before."""
    newest = landmark_of(as_of_ms)
    return newest, newest - TREND_LANDMARK_MS


def contribution(at_ms: int, weight: float, landmark_ms: int, half_life_ms: int) -> float:
    """What an action of `weight` at `at_ms` adds to its product's score relative to `landmark_ms`.

    Within a landmark bucket it grows up to `2 ** (TREND_LANDMARK_MS / half_life_ms)`: a half-life of two
    minutes or more keeps sums far inside a double.
    """
    return weight * float(2.0 ** ((at_ms - landmark_ms) / half_life_ms))


def decay_since(landmark_ms: int, as_of_ms: int, half_life_ms: int) -> float:
    """The factor that turns a score relative to `landmark_ms` into the score as of `as_of_ms`."""
    return float(2.0 ** ((landmark_ms - as_of_ms) / half_life_ms))


def merge_scores(
    parts: Iterable[tuple[int, Mapping[str, float]]], *, as_of_ms: int, half_life_ms: int
) -> dict[str, float]:
    """Product to score as of a time, from `(landmark_ms, product to score)` of any partitions and landmarks.

    A score of 1 is one view at `as_of_ms`, or two views one half-life earlier.
    """
    merged: dict[str, float] = {}
    for landmark_ms, scores in parts:
        factor = decay_since(landmark_ms, as_of_ms, half_life_ms)
        for product_id, score in scores.items():
            merged[product_id] = merged.get(product_id, 0.0) + score * factor
    return merged


def top_products(scores: Mapping[str, float], limit: int) -> list[tuple[str, float]]:
    """The `limit` highest scores, highest first; equal scores in the order of their product ids."""
    return heapq.nsmallest(limit, scores.items(), key=lambda item: (-item[1], item[0]))
