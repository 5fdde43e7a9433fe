"""The time that a round gives to scores."""

import pytest

from stream.batch.entries import Clock
from stream.scoring.budget import budget_of

NOW_MS = 1_760_000_000_000
LIVE = Clock(NOW_MS, NOW_MS)


@pytest.mark.parametrize(
    ("late_ms", "budget_s"), [(0, 0.06), (80, 0.06), (140, 0.036), (200, 0.012), (9_000, 0.012), (-50, 0.06)]
)
def test_the_later_a_round_is_the_less_time_its_scores_have(late_ms: int, budget_s: float) -> None:
    assert budget_of(60, [LIVE], late_ms) == pytest.approx(budget_s)


def test_history_that_is_read_again_has_all_the_time_it_takes() -> None:
    history = Clock(NOW_MS - 86_400_000, NOW_MS)
    assert budget_of(60, [history], 86_400_000) is None


def test_without_a_budget_scores_have_all_the_time_they_take() -> None:
    assert budget_of(0, [LIVE], 0) is None
