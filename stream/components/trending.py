"""Trending: every product's decayed score, relative to a landmark a day."""

from contracts.buckets import TREND_LANDMARK_MS
from contracts.key_families import TREND
from contracts.visitor import ACTION_TYPES
from models.trending import ACTION_WEIGHTS, contribution, landmark_of
from stream.batch.counts import MinuteActions
from stream.batch.result import NO_CHANGE, Change
from stream.components.component import Applied, Component
from stream.state.writes import RaiseScores

WEIGHT_OF_RANK = tuple(ACTION_WEIGHTS[event_type] for event_type in ACTION_TYPES)
TTL_S = 3 * TREND_LANDMARK_MS // 1_000


class Trending(Component[None, None]):
    """Adds what actions are worth; all events of a minute have the same weight."""

    name = "trending"

    def __init__(self, half_life_ms: int) -> None:
        self._half_life_ms = half_life_ms

    def apply(self, state: None, applied: Applied[None]) -> Change:
        """See `Component.apply`."""
        if not applied.counts.minutes:
            return NO_CHANGE
        scores = score_products(applied.counts.minutes, self._half_life_ms)
        return Change(writes=[RaiseScores(f"{TREND}{at}", raised, TTL_S) for at, raised in scores.items()])


def score_products(minutes: MinuteActions, half_life_ms: int) -> dict[int, dict[str, float]]:
    """Landmark (ms) to what the score of each product grows by."""
    landmarks: dict[int, dict[str, float]] = {}
    for minute_ms, by_rank in minutes.items():
        landmark_ms = landmark_of(minute_ms)
        scores = landmarks.setdefault(landmark_ms, {})
        for weight, numbers in zip(WEIGHT_OF_RANK, by_rank, strict=True):
            worth = contribution(minute_ms, weight, landmark_ms, half_life_ms)
            for product, number in numbers.items():
                if product:
                    scores[product] = scores.get(product, 0.0) + number * worth
    return landmarks
