"""The mixture: what it may not know, what it must cope with, and what seasons are worth to it."""

from collections.abc import Callable

import numpy as np
import pytest

from models.demand.model import DemandModel
from models.demand.observation import Observation

PERIOD = 7
DAYS = 26 * PERIOD
N = 40
WEEK = np.array([0.6, 0.7, 0.8, 1.0, 1.2, 1.7, 1.0])
NONE = np.zeros((N, 0))


def shop(seed: int = 0, promotion_lift: float = 1.0) -> list[Observation]:
    """Poisson demand with a week's shape, levels of 0.5 to 40, and promotions on a tenth of the days."""
    random = np.random.default_rng(seed)
    levels = np.geomspace(0.5, 40, N)
    buckets = []
    for bucket in range(DAYS):
        promoted = (random.random(N) < 0.1).astype(float)
        mean = levels * WEEK[bucket % PERIOD] * promotion_lift**promoted
        sold = random.poisson(mean).astype(float)
        buckets.append(Observation(bucket, sold, np.ones(N), promoted[:, None], NONE))
    return buckets


def learn(buckets: list[Observation]) -> DemandModel:
    model = DemandModel(np.arange(N) % 4, n_covariates=1)
    for observed in buckets:
        model.learn_one(observed)
    return model


def planned(horizon: int, promoted: float = 0.0) -> np.ndarray:
    return np.full((horizon, N, 1), promoted)


def wmape(model: DemandModel, buckets: list[Observation]) -> float:
    forecast = model.forecast(np.stack([observed.covariates for observed in buckets]))
    sold = np.stack([observed.sold for observed in buckets])
    return float(np.abs(forecast - sold).sum() / sold.sum())


def test_what_comes_after_the_origin_changes_nothing() -> None:
    random = np.random.default_rng(9)
    buckets = shop()
    first = learn(buckets[:-28]).forecast(planned(28))
    for observed in buckets[-28:]:
        observed.sold[:] = random.poisson(50, N)
    np.testing.assert_array_equal(first, learn(buckets[:-28]).forecast(planned(28)))


def test_a_forecast_changes_nothing() -> None:
    model, other = learn(shop()), learn(shop())
    model.forecast(planned(28, 1.0))
    np.testing.assert_array_equal(model.forecast(planned(7)), other.forecast(planned(7)))


def test_shuffled_weekdays_are_worth_no_season() -> None:
    buckets = shop()
    order = np.random.default_rng(1).permutation(DAYS)
    shuffled = [buckets[i]._replace(bucket=bucket) for bucket, i in enumerate(order)]
    with_season = wmape(learn(buckets[:-28]), buckets[-28:])
    without = wmape(learn(shuffled[:-28]), shuffled[-28:])
    assert without > 1.3 * with_season


def test_promotions_known_ahead_are_learnt() -> None:
    model = learn(shop(promotion_lift=2.0))
    lift = model.forecast(planned(7, 1.0)).sum() / model.forecast(planned(7)).sum()
    assert lift == pytest.approx(2.0, rel=0.15)


def close(buckets: list[Observation]) -> list[Observation]:
    """Sundays closed."""
    return [
        b._replace(sold=np.zeros(N), on_sale=np.zeros(N)) if b.bucket % PERIOD == 6 else b for b in buckets
    ]


def lose(buckets: list[Observation]) -> list[Observation]:
    """A third of the buckets missing."""
    gone = np.random.default_rng(2).random((DAYS, N)) < 1 / 3
    return [b._replace(sold=np.where(gone[i], np.nan, b.sold)) for i, b in enumerate(buckets)]


@pytest.mark.parametrize("spoil", [close, lose])
def test_gaps_are_no_zeros(spoil: Callable[[list[Observation]], list[Observation]]) -> None:
    buckets = shop()
    whole, gaps = learn(buckets), learn(spoil(buckets))
    six = slice(0, 6) if spoil is close else slice(0, 7)  # the day after the last is a Monday
    ours, theirs = whole.forecast(planned(7))[six].sum(), gaps.forecast(planned(7))[six].sum()
    assert theirs == pytest.approx(ours, rel=0.1)


def test_a_series_that_begins_late_is_forecast_from_its_group() -> None:
    buckets = [b._replace(sold=np.where(np.arange(N) == 39, np.nan, b.sold)) for b in shop()]
    forecast = learn(buckets).forecast(planned(7))[:, 39]
    assert np.isfinite(forecast).all()
    assert (forecast > 0).all()


def test_bounds_hold_what_they_promise() -> None:
    buckets = shop(seed=4)
    model = learn(buckets[: 14 * PERIOD])
    inside = []
    for observed in buckets[14 * PERIOD :]:
        low, high = model.bounds(model.forecast(observed.covariates[None]))
        inside.append((observed.sold >= low[0]) & (observed.sold <= high[0]))
        model.learn_one(observed)
    assert 0.93 <= np.mean(inside) <= 0.985


def test_it_beats_the_mean_of_weekdays_where_there_is_little_to_know() -> None:
    buckets = shop(seed=5)
    sold = np.stack([b.sold for b in buckets])
    mean = sold[-56:-28].reshape(4, PERIOD, N).mean(axis=0)[np.arange(28) % PERIOD]
    naive = np.abs(mean - sold[-28:]).sum() / sold[-28:].sum()
    assert wmape(learn(buckets[:-28]), buckets[-28:]) < naive
