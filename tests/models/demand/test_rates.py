"""Rates and profiles: closures, stock-outs and short histories are less exposure, not less demand."""

import numpy as np
import pytest

from models.demand.rates import ExposureRates, SharedProfile

PERIOD = 7
ONE_GROUP = np.zeros(3, dtype=np.int64)


def test_a_rate_is_what_was_sold_over_what_could_have_been() -> None:
    rates = ExposureRates(1, (0.0,), pull=0.0)
    for sold, exposure in ((4.0, 1.0), (1.0, 0.25), (0.0, 0.0), (12.0, 3.0)):
        rates.learn_one(np.array([sold]), np.array([exposure]))
    assert rates.rates(np.zeros(1))[0, 0] == pytest.approx(4.0)


def test_nothing_is_forgotten_while_nothing_can_be_sold() -> None:
    rates = ExposureRates(1, (0.5,), pull=0.0)
    rates.learn_one(np.array([6.0]), np.array([1.0]))
    for _ in range(20):
        rates.learn_one(np.zeros(1), np.zeros(1))
    assert rates.rates(np.zeros(1))[0, 0] == pytest.approx(6.0)


def test_a_new_series_begins_at_its_group_s_rate() -> None:
    rates = ExposureRates(3, (0.1,), pull=5.0)
    for _ in range(100):
        rates.learn_one(np.array([2.0, 4.0, 0.0]), np.array([1.0, 1.0, 0.0]))
    prior = rates.mean_of(ONE_GROUP)
    assert rates.rates(prior)[0, 2] == pytest.approx(3.0)
    rates.learn_one(np.array([0.0, 0.0, 9.0]), np.array([0.0, 0.0, 1.0]))
    assert 3.0 < rates.rates(prior)[0, 2] < 5.0


def test_faster_rates_follow_sooner() -> None:
    rates = ExposureRates(1, (0.05, 0.3), pull=1.0)
    for sold in (*[10.0] * 60, *[20.0] * 5):
        rates.learn_one(np.array([sold]), np.ones(1))
    slow, fast = rates.rates(np.full(1, 10.0))[:, 0]
    assert 10.0 < slow < fast < 20.0


def test_a_profile_is_learnt_from_the_whole_group() -> None:
    profile = SharedProfile(ONE_GROUP, PERIOD, rate=0.1, prior=0.5)
    shape = np.array([0.5, 0.5, 0.5, 1.0, 1.0, 1.5, 2.0])
    for bucket in range(50 * PERIOD):
        profile.learn_one(
            bucket, shape[bucket % PERIOD] * np.array([1.0, 3.0, 10.0]), np.array([1.0, 3.0, 10.0])
        )
    np.testing.assert_allclose([profile.at(b)[0] for b in range(PERIOD)], shape, rtol=0.05)


def test_a_profile_of_nothing_is_flat() -> None:
    profile = SharedProfile(ONE_GROUP, PERIOD, rate=0.1, prior=0.5)
    np.testing.assert_allclose([profile.at(b)[1] for b in range(PERIOD)], 1.0)
