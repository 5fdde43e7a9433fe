"""What several simple forecasters say of the same series, each from its own view of the past."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from models.demand.observation import Bools, Floats, Ints, Observation
from models.demand.rates import ExposureRates, SharedProfile
from models.demand.smoothing import Smoothing, SmoothingBank

_SEASONS_KEPT = 4


@dataclass(frozen=True, slots=True)
class ExpertSettings:
    """What may be chosen on a validation window; rates are per bucket unless they say otherwise."""

    period: int = 7
    speeds: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4)
    pull: float = 5.0
    """Buckets of its group's rate that a new series begins with."""
    profile_rate: float = 0.1
    """How much of a profile each season forgets."""
    own_profile_pull: float = 15.0
    """Units expected at a place of the season with which a series' own profile counts half."""
    grid: tuple[Smoothing, ...] = (
        Smoothing(0.05, season=0.05),
        Smoothing(0.15, season=0.1),
        Smoothing(0.1, 0.1, 0.05, 0.95),
    )


class Experts:
    """Rates at several speeds, one with the series' own profile, smoothing models, means of weekdays."""

    def __init__(self, groups: Ints, settings: ExpertSettings) -> None:
        """`groups` (n,): the number of each series' group, such as its category, from 0."""
        self._settings = settings
        self._groups = groups
        n = len(groups)
        self.n_speeds = len(settings.speeds)
        self._middle = self.n_speeds // 2
        self.names = (
            *(f"rate {speed:g}" for speed in settings.speeds),
            "own profile",
            *(f"smoothing {number + 1}" for number in range(len(settings.grid))),
            f"mean of {_SEASONS_KEPT} seasons",
        )
        self._profile = SharedProfile(groups, settings.period, rate=settings.profile_rate, prior=0.5)
        self._rates = ExposureRates(n, settings.speeds, settings.pull)
        self._own = [
            ExposureRates(n, (settings.profile_rate,), settings.own_profile_pull)
            for _ in range(settings.period)
        ]
        self._bank = SmoothingBank(n, settings.period, settings.grid)
        self._bucket = 0
        self._recent: deque[tuple[Floats, Bools]] = deque(maxlen=_SEASONS_KEPT * settings.period)

    @property
    def own_profile(self) -> int:
        """The place of the expert with the series' own profile; those before it are rates."""
        return self.n_speeds

    def learn_one(self, observed: Observation) -> None:
        """Takes in one bucket."""
        exists = ~np.isnan(observed.sold)
        on_sale = np.where(exists, observed.on_sale, 0.0)
        sold = np.where(on_sale > 0, np.nan_to_num(observed.sold), 0.0)
        whole = on_sale >= 1.0
        self._bucket = observed.bucket
        factor, level = self._profile.at(observed.bucket), self._level(self._all_rates())
        self._profile.learn_one(observed.bucket, sold, level * on_sale)
        self._rates.learn_one(sold, factor * on_sale)
        self._own[observed.bucket % self._settings.period].learn_one(sold, level * factor * on_sale)
        self._bank.learn_one(observed.bucket, sold, whole)
        self._recent.append((sold, whole))

    def say(self, horizon: int) -> Floats:
        """Forecasts (horizon, k, n) of the buckets after the last."""
        period = self._settings.period
        rates = self._all_rates()  # (speeds, n)
        level = self._level(rates)
        smoothed = self._bank.forecast(self._bucket, horizon)
        means = self._season_means()
        out = np.empty((horizon, len(self.names), len(level)))
        one = np.ones(len(level))
        for h in range(horizon):
            bucket = self._bucket + 1 + h
            factor = self._profile.at(bucket)
            out[h, : self.n_speeds] = rates * factor
            out[h, self.own_profile] = level * factor * self._own[bucket % period].rates(one)[0]
            out[h, self.own_profile + 1 : -1] = smoothed[h]
            mean = means[bucket % period]
            out[h, -1] = np.where(np.isnan(mean), level * factor, mean)
        return out

    def _all_rates(self) -> Floats:
        return self._rates.rates(self._rates.mean_of(self._groups))

    def _level(self, rates: Floats) -> Floats:
        """The rate (n,) at a middling speed."""
        level: Floats = rates[self._middle]
        return level

    def _season_means(self) -> Floats:
        """The mean (period, n) of the last seasons by place in the season; NaN where nothing is known."""
        period = self._settings.period
        sums = np.zeros((period, len(self._groups)))
        counts = np.zeros((period, len(self._groups)))
        for back, (sold, whole) in enumerate(reversed(self._recent)):
            place = (self._bucket - back) % period
            sums[place] += sold * whole
            counts[place] += whole
        return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan))
