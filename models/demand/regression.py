"""A regression over all series that learns how demand departs from a first forecast, as factors."""

import numpy as np

from models.demand.observation import Floats

_BOUND = 3.0
"""A series' demand is never put further than exp(3) from the first forecast."""


class FactorRegression:
    """Poisson regression with forgetting: demand is `base * exp(x @ weights)`.

    Newton's method on the likelihood of everything seen, each bucket linearised where the weights stood when
    it came; so a step needs the sums of `x x'` and `x` alone, whatever the number of series and buckets. A
    ridge holds the weights at 0 while there is little to learn from.
    """

    def __init__(self, ridge: Floats, *, keep: float = 0.98) -> None:
        """`ridge` (p,): units expected with which a weight is half free; `keep`: decay per bucket."""
        self._keep = keep
        self._ridge = np.diag(ridge)
        p = len(ridge)
        self._second = np.zeros((p, p))
        self._first = np.zeros(p)
        self.weights: Floats = np.zeros(p)

    def factors(self, x: Floats) -> Floats:
        """Factors (...) of inputs (..., p)."""
        return np.exp(np.clip(x @ self.weights, -_BOUND, _BOUND))

    def learn_one(self, x: Floats, base: Floats, sold: Floats, scale: Floats) -> None:
        """Takes in inputs (m, p), first forecasts, what was sold, and weights of the cases, each (m,)."""
        expected = base * self.factors(x)
        weighted = x * (scale * expected)[:, None]
        second = x.T @ weighted
        gradient = x.T @ (scale * (sold - expected))
        self._second = self._keep * self._second + second
        self._first = self._keep * self._first + gradient + second @ self.weights
        damped = self._second + self._ridge
        self.weights = np.asarray(np.linalg.solve(damped, self._first), dtype=np.float64)
