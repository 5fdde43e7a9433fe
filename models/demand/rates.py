"""Demand as a rate: what was sold over what could have been sold, both forgotten at the same pace."""

import numpy as np

from models.demand.observation import Floats, Ints

_FLOOR = 1e-9


class SharedProfile:
    """How the demand of a group of series is spread over a season; 1 on the average.

    For each place in the season: decayed sales of the group over those of an average bucket.
    """

    def __init__(self, groups: Ints, period: int, *, rate: float, prior: float) -> None:
        """`groups` (n,) are numbered from 0; `prior`: a factor of 1 counts as much as so many buckets."""
        self.period = period
        self._groups = groups
        self._n_groups = int(groups.max(initial=-1)) + 1
        self._keep = 1.0 - rate
        self._prior = prior
        self._sold = np.zeros((period, self._n_groups))
        self._expected = np.zeros((period, self._n_groups))
        self._n_buckets = np.zeros(period)

    def learn_one(self, bucket: int, sold: Floats, expected: Floats) -> None:
        """Takes in sales (n,) and what an average bucket would have sold (n,), both 0 where unknown."""
        place = bucket % self.period
        self._n_buckets[place] = self._keep * self._n_buckets[place] + 1.0
        for sums, values in ((self._sold, sold), (self._expected, expected)):
            sums[place] *= self._keep
            sums[place] += np.bincount(self._groups, values, minlength=self._n_groups)

    def at(self, bucket: int) -> Floats:
        """The factor (n,) of this bucket."""
        prior = self._prior * self._expected.sum(axis=0) / max(1.0, self._n_buckets.sum()) + _FLOOR
        weights = self._expected + prior
        factors = (self._sold + prior) / weights
        factors /= np.maximum((factors * weights).sum(axis=0) / weights.sum(axis=0), _FLOOR)
        factor: Floats = factors[bucket % self.period][self._groups]
        return factor


class ExposureRates:
    """Rates (k, n) at `k` speeds: decayed sales over decayed exposure, pulled towards a prior rate.

    The exposure of a bucket is what it would sell at a rate of 1: the profile's factor times the share of it
    that was on sale. So closed days, hours out of stock and short histories need no special case: they have
    less exposure. This is the posterior mean of a Poisson rate with a gamma prior that is forgotten (Harvey
    and Fernandes, *Time Series Models for Count or Qualitative Observations*, 1989).
    """

    def __init__(self, n: int, speeds: tuple[float, ...], pull: float) -> None:
        """`pull`: the prior counts as much as so much exposure."""
        self._keep = 1.0 - np.array(speeds)[:, None]
        self._pull = pull
        self._sold = np.zeros((len(speeds), n))
        self._exposed = np.zeros((len(speeds), n))

    def learn_one(self, sold: Floats, exposure: Floats) -> None:
        """Takes in sales and exposure (n,); where there was none, nothing is forgotten."""
        keep = np.where(exposure > 0, self._keep, 1.0)
        self._sold = keep * self._sold + sold
        self._exposed = keep * self._exposed + exposure

    def rates(self, prior: Floats) -> Floats:
        """Rates (k, n); `prior` (n,) is the rate of a series of which nothing is known."""
        return np.asarray((self._sold + self._pull * prior) / (self._exposed + self._pull))

    def mean_of(self, groups: Ints) -> Floats:
        """The rate (n,) of each series' group at the first speed."""
        sold, exposed = (np.bincount(groups, sums[0]) for sums in (self._sold, self._exposed))
        mean: Floats = (sold / np.maximum(exposed, _FLOOR))[groups]
        return mean
