"""What one bucket of time brought for all series, and what a forecaster of them has to do."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Observation(NamedTuple):
    """One bucket (an hour, a day) of `n` series.

    `sold` is NaN where nothing is known: the series had not begun, or its data are missing. `on_sale` is the
    share of the bucket's usual demand that could be bought at all, 0 to 1: 0 on a day the shop was closed,
    .5 where half of the demand would have come after the product was out of stock. What was sold while
    `on_sale` is below 1 is a lower bound of the demand.
    """

    bucket: int
    """Its number since 1970-01-01."""
    sold: Floats  # (n,)
    on_sale: Floats  # (n,)
    covariates: Floats  # (n, covariates): what a shop knows ahead, such as price and promotion
    signals: Floats  # (n, signals): what is known afterwards, such as views and carts


class Forecaster(Protocol):
    """Forecasts the demand of all series; learns bucket by bucket."""

    name: str

    def learn_one(self, observed: Observation) -> None:
        """Takes in the bucket after the last one."""

    def forecast(self, covariates: Floats) -> Floats:
        """Expected demand (horizon, n) of the buckets after the last, units; never below 0.

        `covariates` (horizon, n, covariates) of these buckets are as the shop plans them.
        """
