"""Weights of experts that follow their losses, per series."""

import numpy as np

from models.demand.observation import Bools, Floats

_FLOOR = 1e-12


class ExpertWeights:
    """Exponentiated gradient with a fixed share (Herbster and Warmuth, *Tracking the Best Expert*, 1998).

    Losses are absolute errors over the series' own mean absolute error of the equal-weight mean. Series that
    have been seen seldom lean on the weights of all series together.
    """

    def __init__(self, k: int, n: int, *, eta: float = 0.3, share: float = 0.02, pull: float = 28.0) -> None:
        """`pull`: after so many buckets a series' own weights count half."""
        self._eta = eta
        self._share = share
        self._pull = pull
        self._own = np.full((k, n), 1.0 / k)
        self._all = np.full(k, 1.0 / k)
        self._scale = np.zeros(n)
        self._seen = np.zeros(n)

    def learn_one(self, forecasts: Floats, sold: Floats, known: Bools) -> None:
        """Takes in what experts (k, n) had said of what was sold (n,), where it is `known` (n,)."""
        losses = np.abs(forecasts - np.where(known, sold, 0.0))
        mean_loss = losses.mean(axis=0)
        rate = np.maximum(0.02, 1.0 / (self._seen + 1.0))
        self._scale = np.where(known, (1 - rate) * self._scale + rate * mean_loss, self._scale)
        scaled = np.where(known, (losses - mean_loss) / (self._scale + _FLOOR), 0.0)
        np.clip(scaled, -4.0, 4.0, out=scaled)
        self._own *= np.exp(-self._eta * scaled)
        self._own /= self._own.sum(axis=0)
        self._own = (1.0 - self._share) * self._own + self._share / len(self._own)
        if known.any():
            self._all *= np.exp(-self._eta * scaled[:, known].mean(axis=1))
            self._all = (1.0 - self._share) * self._all / self._all.sum() + self._share / len(self._all)
        self._seen += known

    def get(self) -> Floats:
        """Weights (k, n), which sum to 1 for each series."""
        trust = self._seen / (self._seen + self._pull)
        return np.asarray(trust * self._own + (1.0 - trust) * self._all[:, None])
