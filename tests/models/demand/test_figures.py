"""Figures of demand forecasts, by hand."""

import numpy as np
import pytest

from models.demand.evaluation.figures import compare, measure
from models.demand.evaluation.origins import last_origins


def test_figures_are_those_of_their_definitions() -> None:
    sold = np.array([[[4.0, 0.0], [6.0, np.nan]]])  # one origin, two buckets, two series
    forecast = np.array([[[5.0, 1.0], [3.0, 9.0]]])
    low, high = forecast - 2, forecast + 2
    figures = measure(forecast, low, high, sold, scale=np.array([2.0, 0.0])).whole
    assert figures.mae == pytest.approx(5 / 3)
    assert figures.rmse == pytest.approx(np.sqrt(11 / 3))
    assert figures.wmape == pytest.approx(5 / 10)
    assert figures.bias == pytest.approx((1 + 1 - 3) / 10)
    assert figures.mase == pytest.approx((1 + 3) / 2 / 2)  # the second series has no scale
    assert figures.coverage == pytest.approx(2 / 3)
    assert figures.msis == pytest.approx((4 + 4 + 40 * 1) / 2 / 2)


def test_a_row_without_intervals_has_no_figures_of_them() -> None:
    figures = measure(np.ones((1, 1, 1)), None, None, np.ones((1, 1, 1)), np.ones(1)).whole
    assert np.isnan(figures.msis)
    assert np.isnan(figures.coverage)


def test_a_difference_that_is_there_is_found() -> None:
    random = np.random.default_rng(0)
    sold = random.poisson(5, (8, 7, 50)).astype(float)
    good, bad = np.full_like(sold, 5.0), np.full_like(sold, 8.0)
    scale = np.ones(50)
    better = compare(
        measure(good, None, None, sold, scale), measure(bad, None, None, sold, scale), rounds=200
    )
    assert better["wmape"].high < 0
    same = compare(*[measure(good, None, None, sold, scale)] * 2, rounds=50)
    assert same["wmape"].value == 0
    assert not same["wmape"].excludes_zero


def test_every_origin_has_its_whole_horizon() -> None:
    origins = last_origins(100, count=3, stride=7, horizon=28)
    assert origins.at == (58, 65, 72)
    with pytest.raises(ValueError, match="need more than 42 buckets, got 42"):
        last_origins(42, count=3, stride=7, horizon=28)
