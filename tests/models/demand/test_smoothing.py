"""The bank of smoothing models against the textbook, one series and one model at a time."""

import numpy as np
import pytest

from models.demand.smoothing import Smoothing, SmoothingBank

PERIOD = 7
GRID = (
    Smoothing(0.2),
    Smoothing(0.1, season=0.3),
    Smoothing(0.3, 0.2, 0.1),
    Smoothing(0.25, 0.4, 0.2, 0.9),
)
WARM_UP = 11 * PERIOD
"""By then each series learns at the rates of its models."""


@pytest.fixture
def sold() -> np.ndarray:
    random = np.random.default_rng(3)
    season = 5 + 3 * np.sin(2 * np.pi * np.arange(200) / PERIOD)
    return random.poisson(season[:, None] * np.array([1.0, 4.0, 20.0])).astype(float)  # (200, 3)


def warm(sold: np.ndarray) -> SmoothingBank:
    bank = SmoothingBank(sold.shape[1], PERIOD, GRID)
    for bucket in range(WARM_UP):
        bank.learn_one(bucket, sold[bucket], np.ones(sold.shape[1], bool))
    return bank


def textbook(bank: SmoothingBank, sold: np.ndarray, k: int, i: int, horizon: int) -> list[float]:
    """Holt-Winters' loop for series `i` and model `k`, from where the bank stands after its warm-up."""
    level, trend = float(bank.levels[k, i]), float(bank.trends[k, i])
    season = [float(bank.seasons[j, k, i]) for j in range(PERIOD)]
    model = GRID[k]
    for bucket in range(WARM_UP, len(sold)):
        error = sold[bucket, i] - (level + model.damping * trend + season[bucket % PERIOD])
        level, trend = (
            level + model.damping * trend + model.level * error,
            model.damping * trend + model.trend * model.level * error,
        )
        season[bucket % PERIOD] += model.season * (1 - model.level) * error
    out, drift = [], 0.0
    for h in range(1, horizon + 1):
        drift += model.damping**h * trend
        out.append(max(0.0, level + drift + season[(len(sold) - 1 + h) % PERIOD]))
    return out


def test_it_is_the_textbook_s_loop(sold: np.ndarray) -> None:
    bank = warm(sold)
    expected = np.array([[textbook(bank, sold, k, i, 10) for i in range(3)] for k in range(len(GRID))])
    for bucket in range(WARM_UP, len(sold)):
        bank.learn_one(bucket, sold[bucket], np.ones(3, bool))
    forecast = bank.forecast(len(sold) - 1, 10)  # (10, k, n)
    np.testing.assert_allclose(forecast, np.moveaxis(expected, 2, 0), atol=1e-9)


def test_an_unknown_bucket_changes_nothing(sold: np.ndarray) -> None:
    bank, other = warm(sold), warm(sold)
    bank.learn_one(WARM_UP, np.full(3, 1e6), np.array([False, True, False]))
    other.learn_one(WARM_UP, np.full(3, np.nan), np.zeros(3, bool))
    ours, theirs = bank.forecast(WARM_UP, 7), other.forecast(WARM_UP, 7)
    np.testing.assert_array_equal(ours[..., [0, 2]], theirs[..., [0, 2]])
    assert (ours[..., 1] > theirs[..., 1]).all()


def test_a_new_series_is_at_its_mean_after_a_season() -> None:
    bank = SmoothingBank(1, PERIOD, (Smoothing(0.03),))
    for bucket in range(PERIOD):
        bank.learn_one(bucket, np.array([float(bucket)]), np.ones(1, bool))
    assert bank.forecast(PERIOD - 1, 1)[0, 0, 0] == pytest.approx(3.0)


def test_it_forecasts_no_less_than_nothing() -> None:
    bank = SmoothingBank(1, PERIOD, (Smoothing(0.5, 0.5),))
    for bucket in range(30):
        bank.learn_one(bucket, np.array([30.0 - bucket]), np.ones(1, bool))
    assert (bank.forecast(29, 28) >= 0).all()
