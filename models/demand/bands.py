"""Intervals that hold: quantiles of the errors, followed as they come."""

import numpy as np

from models.demand.observation import Bools, Floats

_LEAST_UNIT = 0.25
"""Forecasts below this many units count as this many: their errors are not smaller."""
_LEAST_WIDTH = 0.1
_POOLED_GAIN = 1.0
_NORMAL = 1.96
"""Standard deviations to the bounds of 95 % of a normal distribution: what is promised first."""


class Bands:
    """Lower and upper bounds of one lead for all series, by tracking quantiles of scaled errors.

    Angelopoulos, Candes and Tibshirani, *Conformal PID Control for Time Series Prediction* (2023), its
    proportional term: a bound that was broken moves out by `gain * (1 - rate)`, one that held moves in by
    `gain * rate`, so that in the long run `rate` of the buckets break it, whatever the errors are like.
    Errors are in units of the square root of the forecast, as counts scatter. Bounds of all series together
    follow in the same way, and each series departs from those.
    """

    def __init__(self, n: int, *, level: float = 0.95, gain: float = 0.05) -> None:
        self.rate = (1.0 - level) / 2
        self._gain = gain
        self._pooled = np.zeros(2)
        self._own = np.zeros((2, n))

    def learn_one(self, forecast: Floats, sold: Floats, known: Bools) -> None:
        """Takes in what was forecast and what was sold (n,), where it is `known` (n,)."""
        if not known.any():
            return
        scaled = np.where(known, (sold - forecast) / _unit(forecast), 0.0)
        if not self._pooled.any():  # nothing was promised yet
            spread = max(_LEAST_WIDTH, _NORMAL * float(np.sqrt(np.mean(scaled[known] ** 2))))
            self._pooled[:] = -spread, spread
            return
        low, high = self._pooled[:, None] + self._own
        width = np.maximum(np.abs(self._pooled), _LEAST_WIDTH)
        over = known * np.stack([scaled < low, scaled > high]) - known * self.rate  # (2, n)
        out = np.array([[-1.0], [1.0]])
        self._pooled += (out[:, 0] * width * _POOLED_GAIN) * over.sum(axis=1) / known.sum()
        self._own += out * width[:, None] * self._gain * over

    def bounds(self, forecast: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bounds (n,) around a forecast (n,), not below 0."""
        low, high = forecast + _unit(forecast) * (self._pooled[:, None] + self._own)
        return np.maximum(low, 0.0), np.maximum(high, 0.0)


def _unit(forecast: Floats) -> Floats:
    return np.sqrt(np.maximum(forecast, _LEAST_UNIT))
