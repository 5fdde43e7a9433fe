"""Rolling origins: at each, forecasts of what follows by models that have seen nothing of it."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from models.demand.observation import Floats
from models.demand.panel import Panel


class Origins(NamedTuple):
    """Numbers of buckets: an origin of `t` knows those before number `t`."""

    at: tuple[int, ...]
    horizon: int


class Forecast(NamedTuple):
    """Forecasts (horizon, n) with the bounds of their 95 % intervals, where the row has any."""

    mean: Floats
    low: Floats | None = None
    high: Floats | None = None


class Row(Protocol):
    """A row of the table."""

    name: str

    def forecast_at(self, panel: Panel, covariates: Floats) -> Forecast:
        """The forecast of what follows on `panel`, which ends at the origin; called for later and later ones.

        `covariates` (horizon, n, c) are those planned after it.
        """


def last_origins(n_buckets: int, *, count: int, stride: int, horizon: int) -> Origins:
    """The last `count` origins, `stride` apart, whose whole horizon lies in `n_buckets`.

    Raises `ValueError` if the first of them would have no past.
    """
    first = n_buckets - horizon - (count - 1) * stride
    if first <= 0:
        raise ValueError(
            f"{count} origins {stride} buckets apart need more than {horizon + (count - 1) * stride} "
            f"buckets, got {n_buckets}"
        )
    return Origins(tuple(first + i * stride for i in range(count)), horizon)


def scale_of(panel: Panel, origins: Origins, period: int) -> Floats:
    """The mean absolute seasonal difference (n,) of each series before the first origin; 0 without any."""
    past = np.where(panel.on_sale > 0, panel.sold, np.nan)[: origins.at[0]]
    differences = np.abs(past[period:] - past[:-period])
    known = ~np.isnan(differences)
    return np.asarray(np.where(known, differences, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def answers(panel: Panel, origins: Origins, horizon: int) -> Floats:
    """What was sold (origins, horizon, n), NaN where nobody can tell what would have been."""
    sold = np.where(panel.on_sale > 0, panel.sold, np.nan)
    return np.stack([sold[t : t + horizon] for t in origins.at])


def forecasts_of(row: Row, panel: Panel, origins: Origins, note: Callable[[], None]) -> Iterator[Forecast]:
    """The row's forecasts at each origin; `note` is called after each."""
    for t in origins.at:
        yield row.forecast_at(panel.until(t), panel.covariates[t : t + origins.horizon])
        note()


def stack(forecasts: Sequence[Forecast]) -> tuple[Floats, Floats | None, Floats | None]:
    """Means and bounds (origins, horizon, n)."""
    mean = np.stack([one.mean for one in forecasts])
    lows = [one.low for one in forecasts if one.low is not None]
    highs = [one.high for one in forecasts if one.high is not None]
    return (mean, np.stack(lows), np.stack(highs)) if lows else (mean, None, None)
