"""Cadence: own items by how often they come and how due they are, in time."""

from dataclasses import dataclass, field

import numpy as np

from models.next_basket.baskets import Baskets, Bools, Floats, Ints
from models.next_basket.frequency import shares_of_baskets
from models.next_basket.model import Scores, Training
from models.next_basket.pairs import Pairs, pairs_of

_FILLING = 1e-3
_BINS = 24
"""Stages of items bought more than once, and as many of those bought once."""
_WIDEST = 4.0
_PRIOR = 5.0


@dataclass(slots=True)
class Cadence:
    """Replenishment: the chance of an item by its own count and the time since its last purchase.

    The share of baskets with an item, times how much likelier it is at this stage of its interval: time since
    the last purchase by the mean time between purchases, in days or, without times, in baskets. What was
    bought once has no interval; its stage is its age in baskets. The curve over the stages is learnt from the
    newest baskets of all known users.
    """

    name: str = "cadence"
    _curve: Floats = field(default_factory=lambda: np.ones(2 * _BINS))
    _shares: Floats = field(default_factory=lambda: np.zeros(0))

    def fit(self, training: Training) -> None:
        """How often an item came again, compared with its frequency, at each stage of its interval."""
        known = training.known
        self._shares = shares_of_baskets(known)
        newest = np.flatnonzero((known.ages() == 0) & (known.positions() > 0))
        cases = known.cases(newest)
        pairs = pairs_of(cases.histories)
        truth = cases.targets
        came = np.isin(pairs.key, truth.line_keys())
        expected = _frequency(pairs, cases.histories)
        stage = _stage(pairs)
        hits = np.bincount(stage, weights=came, minlength=2 * _BINS)
        sums = np.bincount(stage, weights=expected, minlength=2 * _BINS)
        # A few purchases at the mean rate keep a stage that few pairs reach from extremes.
        rate = hits.sum() / max(float(sums.sum()), 1e-12)
        self._curve = (hits + _PRIOR * rate) / (sums + _PRIOR)

    def scores(self, histories: Baskets) -> Scores:
        """Frequency times the curve; popularity fills the list."""
        pairs = pairs_of(histories)
        scores = np.tile(_FILLING * self._shares, (histories.n_users, 1))
        own = _frequency(pairs, histories) * self._curve[_stage(pairs)]
        scores.ravel()[pairs.key] += own
        return scores.astype(np.float32)


def _frequency(pairs: Pairs, histories: Baskets) -> Floats:
    counts = histories.counts()[pairs.key // histories.n_items]
    return np.asarray(pairs.purchases / (counts + 1))


def _stage(pairs: Pairs) -> Ints:
    again = np.minimum(interval_share(pairs) / _WIDEST, 1) * (_BINS - 1)
    once = _BINS + np.minimum(4 * np.log2(pairs.newest_age + 1.0), _BINS - 1)
    return np.where(pairs.purchases > 1, again, once).astype(np.int64)


def interval_share(pairs: Pairs) -> Floats:
    """Time since the last purchase by the mean time between purchases; -1 for a single purchase."""
    has_times = pairs.newest_days >= 0
    since = np.where(has_times, pairs.newest_days, pairs.newest_age + 1.0)
    interval = mean_interval(pairs, has_times)
    return np.asarray(np.where(pairs.purchases > 1, since / np.maximum(interval, 1e-3), -1.0))


def mean_interval(pairs: Pairs, has_times: Bools) -> Floats:
    """Mean time between purchases, in days where there are times and in baskets elsewhere."""
    span = np.where(has_times, pairs.oldest_days - pairs.newest_days, pairs.oldest_age - pairs.newest_age)
    return np.asarray(span / np.maximum(pairs.purchases - 1, 1))
