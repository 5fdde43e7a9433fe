"""Figures of forecasts against what was sold, of one or of several horizons together."""

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from models.demand.observation import Floats
from models.evaluation.bootstrap import Interval, draw_weights, interval_of


class Figures(NamedTuple):
    """Over all series, origins and buckets of a horizon; NaN where nothing was measured."""

    mae: float
    rmse: float
    wmape: float
    """Sum of absolute errors over the sum of what was sold."""
    bias: float
    """Sum of forecast less sold, over the sum of what was sold: above 0 is too much."""
    mase: float
    """Mean absolute error of each series over that of its seasonal naive forecast before the first origin."""
    msis: float
    """Mean scaled interval score of the 95 % interval (Gneiting and Raftery, 2007), by the same scale."""
    coverage: float
    """Share of what was sold that lies within the 95 % interval."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Sums per series and origin, from which figures of any sample of them are made."""

    sums: Floats  # (series * origins, 9): n, sold, absolute, squared, signed, inside, and three by scale
    has_intervals: bool

    def figures(self, weights: Floats) -> Floats:
        """Figures (samples, 7) in the order of `Figures`, where series and origins count `weights` times.

        `weights`: (samples, series * origins).
        """
        n, sold, absolute, squared, signed, inside, scaled_n, scaled, score = (weights @ self.sums).T
        nothing = np.full(len(n), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack(
                [
                    absolute / n,
                    np.sqrt(squared / n),
                    absolute / sold,
                    signed / sold,
                    scaled / scaled_n,
                    score / scaled_n if self.has_intervals else nothing,
                    inside / n if self.has_intervals else nothing,
                ],
                axis=1,
            )

    @property
    def whole(self) -> Figures:
        """The figures where everything counts once."""
        return Figures(*self.figures(np.ones((1, len(self.sums))))[0].tolist())


MISS = 2.0 / 0.05
"""What a unit outside the 95 % interval costs in the interval score."""
_DRAWN_AT_ONCE = 50


def measure(forecast: Floats, low: Floats | None, high: Floats | None, sold: Floats, scale: Floats) -> Errors:
    """Errors of forecasts (origins, horizon, n) by the series' `scale` (n,); `sold` is NaN where unknown."""
    known = ~np.isnan(sold)
    actual = np.where(known, sold, 0.0)
    difference = np.where(known, forecast - actual, 0.0)
    per_scale = np.where(scale > 0, 1.0 / np.where(scale > 0, scale, 1.0), 0.0)
    n, absolute = known.sum(axis=1), np.abs(difference).sum(axis=1)  # (origins, n)
    inside, score = np.zeros_like(absolute), np.zeros_like(absolute)
    if low is not None and high is not None:
        outside = MISS * (np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0))
        score = np.where(known, high - low + outside, 0.0).sum(axis=1)
        inside = (known & (actual >= low) & (actual <= high)).sum(axis=1)
    sums = (
        n, actual.sum(axis=1), absolute, np.square(difference).sum(axis=1), difference.sum(axis=1), inside,
        n * (scale > 0), absolute * per_scale, score * per_scale,
    )  # fmt: skip
    return Errors(np.stack([values.ravel().astype(np.float64) for values in sums], axis=1), low is not None)


def compare(one: Errors, other: Errors, *, rounds: int = 1_000, seed: int = 0) -> dict[str, Interval]:
    """Figures of one less those of the other, with 95 % intervals; series and origins are drawn together."""
    drawn = draw_weights(len(one.sums), rounds=rounds, seed=seed)
    differences = []
    while part := list(islice(drawn, _DRAWN_AT_ONCE)):
        weights = np.stack(part)
        differences.append(one.figures(weights) - other.figures(weights))
    found = np.concatenate(differences)
    return {name: interval_of(found[:, i]) for i, name in enumerate(Figures._fields)}
