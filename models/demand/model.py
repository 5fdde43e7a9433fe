"""The forecaster that ships: experts weighed by their losses, corrected by a regression over all series."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from models.demand.bands import Bands
from models.demand.experts import Experts, ExpertSettings
from models.demand.observation import Bools, Floats, Ints, Observation
from models.demand.regression import FactorRegression
from models.demand.weights import ExpertWeights

_WARM_UP_SEASONS = 3
"""A series younger than this teaches the regression nothing: its experts are still finding their level."""
_SMOOTH = 0.3
"""Units added before logarithms are taken."""
_USUAL_RATE = 0.05
"""Pace at which the usual values of covariates follow."""


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """What may be chosen on a validation window."""

    experts: ExpertSettings = field(default_factory=ExpertSettings)
    leads: tuple[int, ...] = (1, 7, 28)
    """Buckets ahead at which is judged and learnt; a horizon between two goes by the longer one."""
    eta: float = 0.3
    keep: float = 0.98
    """What a bucket counts in the regression after the next one."""
    ridge: float = 100.0
    """What holds the weights of inputs at 0, in units expected."""
    ridge_of_covariates: float = 10.0
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said at an origin, until the bucket comes."""

    experts: Floats  # (k, n)
    base: Floats  # (n,)
    features: Floats  # (n, p), those that do not depend on the bucket


@dataclass(slots=True)
class _Lead:
    """What is learnt for one lead."""

    weights: ExpertWeights
    regression: FactorRegression
    bands: Bands
    said: deque[_Said] = field(default_factory=deque)


class DemandModel:
    """Forecasts of all series at once. A bucket costs a few vectorised steps; nothing is ever refitted."""

    name = "mixture"

    def __init__(self, groups: Ints, n_covariates: int = 0, settings: DemandSettings | None = None) -> None:
        """`groups` (n,): the number of each series' group, such as its category, from 0."""
        self.settings = settings = settings or DemandSettings()
        n = len(groups)
        self._experts = Experts(groups, settings.experts)
        self._bucket = 0
        self._n_seen = np.zeros(n)
        self._usual = np.zeros((n, n_covariates))
        self._totals: deque[float] = deque(maxlen=4 * settings.experts.period)
        self._on_sale: deque[Floats] = deque(maxlen=settings.experts.period)
        p = self._experts.n_speeds + 4 + settings.experts.period
        ridge = np.repeat([settings.ridge, settings.ridge_of_covariates], [p, n_covariates])
        self._leads = {
            lead: _Lead(
                ExpertWeights(len(self._experts.names), n, eta=settings.eta),
                FactorRegression(ridge, keep=settings.keep),
                Bands(n, level=settings.level),
            )
            for lead in settings.leads
        }

    def learn_one(self, observed: Observation) -> None:
        """See `Forecaster.learn_one`."""
        whole = ~np.isnan(observed.sold) & (observed.on_sale >= 1.0)
        sold = np.nan_to_num(observed.sold)
        for lead, state in self._leads.items():
            if len(state.said) == lead:
                self._judge(state, state.said.popleft(), observed, sold, whole)
        self._experts.learn_one(observed)
        self._bucket = observed.bucket
        self._follow(observed, sold)
        experts = self._experts.say(max(self._leads))
        for lead, state in self._leads.items():
            base = self._base(state, experts[lead - 1])
            state.said.append(_Said(experts[lead - 1], base, self._features(experts[lead - 1], base)))

    def forecast(self, covariates: Floats) -> Floats:
        """See `Forecaster.forecast`."""
        experts = self._experts.say(len(covariates))
        out = np.empty((len(covariates), experts.shape[2]))
        for h, planned in enumerate(covariates):
            state = self._leads[self._lead_of(h + 1)]
            base = self._base(state, experts[h])
            inputs = self._inputs(self._features(experts[h], base), self._bucket + 1 + h, planned)
            out[h] = base * state.regression.factors(inputs)
        return out

    def bounds(self, forecasts: Floats) -> tuple[Floats, Floats]:
        """Bounds (horizon, n) of the interval around forecasts (horizon, n)."""
        pairs = [self._leads[self._lead_of(h + 1)].bands.bounds(row) for h, row in enumerate(forecasts)]
        return np.stack([low for low, _ in pairs]), np.stack([high for _, high in pairs])

    def _judge(self, state: _Lead, said: _Said, observed: Observation, sold: Floats, whole: Bools) -> None:
        """Holds what was said of a bucket against it."""
        state.weights.learn_one(said.experts, sold, whole)
        inputs = self._inputs(said.features, observed.bucket, observed.covariates)
        state.bands.learn_one(said.base * state.regression.factors(inputs), sold, whole)
        is_settled = self._n_seen >= _WARM_UP_SEASONS * self.settings.experts.period
        rows = np.flatnonzero(whole & is_settled & (said.base > 0))
        # Large series would rule otherwise: their demand varies by more units.
        scale = 1.0 / (1.0 + said.base[rows])
        state.regression.learn_one(inputs[rows], said.base[rows], sold[rows], scale)

    def _follow(self, observed: Observation, sold: Floats) -> None:
        """Takes in what features need beside the experts."""
        exists = ~np.isnan(observed.sold)
        rate = np.maximum(_USUAL_RATE, 1.0 / (self._n_seen + 1.0))[:, None]
        step = rate * (observed.covariates - self._usual)
        self._usual += np.where((exists & (observed.on_sale > 0))[:, None], step, 0.0)
        self._n_seen += exists
        self._totals.append(float(sold.sum()))
        self._on_sale.append(np.where(exists, observed.on_sale, 1.0))

    def _lead_of(self, h: int) -> int:
        return next((lead for lead in self._leads if lead >= h), max(self._leads))

    def _base(self, state: _Lead, experts: Floats) -> Floats:
        base: Floats = (state.weights.get() * experts).sum(axis=0)
        return base

    def _features(self, experts: Floats, base: Floats) -> Floats:
        """What the regression reads of each series (n, p) but for the bucket it is about."""
        own = self._experts.own_profile
        read = [*range(own), own, len(experts) - 1]
        ratios = np.log(experts[read] + _SMOOTH) - np.log(base + _SMOOTH)
        momentum = np.full(len(base), self._momentum())
        out_of_stock = 1.0 - np.mean(self._on_sale, axis=0)
        return np.concatenate([ratios.T, momentum[:, None], out_of_stock[:, None]], axis=1)

    def _momentum(self) -> float:
        """The logarithm of what all series sold in the last season over that in the one three before."""
        if len(self._totals) < (self._totals.maxlen or 0):
            return 0.0
        totals, period = [*self._totals], self.settings.experts.period
        now, before = sum(totals[-period:]), sum(totals[:period])
        return float(np.log(now / before)) if now > 0 and before > 0 else 0.0

    def _inputs(self, features: Floats, bucket: int, covariates: Floats) -> Floats:
        """All inputs (n, p) of the regression for one bucket."""
        place = np.zeros((len(features), self.settings.experts.period))
        place[:, bucket % self.settings.experts.period] = 1.0
        return np.concatenate([features, place, covariates - self._usual], axis=1)
