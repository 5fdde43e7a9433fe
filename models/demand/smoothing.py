"""A bank of exponential smoothing models, all series and all parameters in one step."""

from typing import NamedTuple

import numpy as np

from models.demand.observation import Bools, Floats


class Smoothing(NamedTuple):
    """Parameters of one additive damped Holt-Winters model.

    ETS(A, Ad, A) in error correction form (Hyndman et al., *Forecasting with Exponential Smoothing*, 2008):
    e = y - (l + damping b + s_j); l <- l + damping b + level e; b <- damping b + level trend e;
    s_j <- s_j + season (1 - level) e.
    """

    level: float
    trend: float = 0.0
    season: float = 0.0
    damping: float = 1.0


GRID = tuple(
    Smoothing(level, trend, season, damping)
    for level in (0.03, 0.1, 0.25)
    for trend, damping in ((0.0, 1.0), (0.1, 0.95))
    for season in (0.02, 0.1, 0.25)
)
"""From slow to fast; the slow ones win on long quiet series, the fast ones after changes."""


class SmoothingBank:
    """`k` models over `n` series; a series that has just begun learns as fast as a running mean would."""

    def __init__(self, n: int, period: int, grid: tuple[Smoothing, ...] = GRID) -> None:
        """`period` is how many buckets a season has: 7 for days of a week, 24 for hours of a day."""
        self.period = period
        self.grid = grid
        k = len(grid)
        column = np.array(grid, dtype=np.float64)[:, :, None]  # (k, 4, 1)
        self._level_rate, self._trend_rate, self._season_rate, self._damping = (
            column[:, i] for i in range(4)
        )
        self.levels = np.zeros((k, n))
        self.trends = np.zeros((k, n))
        self.seasons = np.zeros((period, k, n))
        self._seen = np.zeros(n)
        """Buckets that were learnt from, per series."""

    def learn_one(self, bucket: int, sold: Floats, known: Bools) -> None:
        """Takes in `sold` (n,) of this bucket where it is `known` (n,); elsewhere nothing changes."""
        season = self.seasons[bucket % self.period]
        drift = self._damping * self.trends
        error = np.where(known, sold - (self.levels + drift + season), 0.0)
        level_rate = np.maximum(self._level_rate, 1.0 / (self._seen + 1.0))
        has_season = self._seen >= self.period
        self.levels += np.where(known, drift, 0.0) + level_rate * error
        # A trend from a handful of buckets is noise.
        self.trends = np.where(known, drift, self.trends)
        self.trends += np.where(has_season, self._trend_rate * self._level_rate * error, 0.0)
        season += self._season_step() * (1.0 - level_rate) * error
        self._seen += known

    def _season_step(self) -> Floats:
        """The rates (k, n) of seasonal terms: at first those of a running mean over seasons."""
        n_seasons = np.floor(self._seen / self.period) + 1.0
        early = np.minimum(1.0 / n_seasons, 0.5)
        return np.where(self._season_rate > 0, np.maximum(self._season_rate, early), 0.0)

    def forecast(self, bucket: int, horizon: int) -> Floats:
        """Forecasts (horizon, k, n) of the buckets after `bucket`, not below 0."""
        out = np.empty((horizon, *self.levels.shape))
        drift = np.zeros_like(self.levels)
        damping = np.ones_like(self._damping)
        for h in range(horizon):
            damping = damping * self._damping
            drift = drift + damping * self.trends
            out[h] = self.levels + drift + self.seasons[(bucket + 1 + h) % self.period]
        return np.maximum(out, 0.0, out=out)
