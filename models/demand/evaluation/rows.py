"""Rows of the table that need nothing but the past: the baselines, and the forecasters of this package."""

from collections.abc import Callable

import numpy as np

from models.demand.evaluation.origins import Forecast
from models.demand.model import DemandModel, DemandSettings
from models.demand.observation import Floats
from models.demand.panel import Panel

_SEASONS = 4


class Simple:
    """A forecast made anew at each origin from what was sold."""

    def __init__(self, name: str, period: int, make: Callable[[Panel, int, int], Floats]) -> None:
        self.name = name
        self._period = period
        self._make = make

    def forecast_at(self, panel: Panel, covariates: Floats) -> Forecast:
        """See `Row.forecast_at`."""
        return Forecast(np.maximum(np.nan_to_num(self._make(panel, self._period, len(covariates))), 0.0))


class Online:
    """The shipped forecaster, which learns each bucket once and is asked at the origins."""

    def __init__(self, name: str, settings: DemandSettings, *, knows_stock: bool = True) -> None:
        """Without `knows_stock` it takes what was sold while out of stock for the demand."""
        self.name = name
        self._settings = settings
        self._knows_stock = knows_stock
        self._model: DemandModel | None = None
        self._learnt = 0

    def forecast_at(self, panel: Panel, covariates: Floats) -> Forecast:
        """See `Row.forecast_at`."""
        if self._model is None:
            self._model = DemandModel(panel.groups, covariates.shape[2], self._settings)
        for observed in panel.observations(self._learnt):
            on_sale = observed.on_sale if self._knows_stock else np.ceil(observed.on_sale)
            self._model.learn_one(observed._replace(on_sale=on_sale))
        self._learnt = len(panel.sold)
        mean = self._model.forecast(covariates)
        return Forecast(mean, *self._model.bounds(mean))


def seasonal_naive(panel: Panel, period: int, horizon: int) -> Floats:
    """What was sold a season before (horizon, n)."""
    return panel.sold[-period:][np.arange(horizon) % period]


def season_mean(panel: Panel, period: int, horizon: int) -> Floats:
    """The mean (horizon, n) of the last four seasons by place, open buckets alone."""
    recent = np.where(panel.on_sale > 0, panel.sold, np.nan)[-_SEASONS * period :]
    places = recent.reshape(-1, period, recent.shape[1])
    return _mean(places, axis=0)[np.arange(horizon) % period]


def recent_mean(panel: Panel, period: int, horizon: int) -> Floats:
    """The mean (horizon, n) of the last four seasons."""
    recent = np.where(panel.on_sale > 0, panel.sold, np.nan)[-_SEASONS * period :]
    return np.repeat(_mean(recent, axis=0)[None], horizon, axis=0)


def _mean(values: Floats, axis: int) -> Floats:
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=axis) / np.maximum(known.sum(axis=axis), 1))


def baselines(period: int) -> tuple[Simple, ...]:
    """The rows that every table has."""
    return (
        Simple("seasonal naive", period, seasonal_naive),
        Simple("mean of 4 weekdays", period, season_mean),
        Simple("mean of 4 weeks", period, recent_mean),
    )
