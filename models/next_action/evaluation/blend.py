"""The blend of fitted models: their logits averaged, by weights that fit the validation part best."""

from collections.abc import Callable

import numpy as np

from models.evaluation.calibration import Calibration, fit_calibration
from models.evaluation.metrics import binary_losses, class_losses
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Floats, Predictions

_WEIGHTS = np.linspace(0.0, 1.0, 11).round(1)
_FLOOR = 1e-9


class Blend:
    """Two models by what they say of the same cases; `weights` of the first, for the action and the purchase.

    The weights are the best of eleven on the validation part, where the mean is calibrated too, by `scales`.
    """

    def __init__(self, first: Predictions, second: Predictions, valid: PrefixSet) -> None:
        buys = valid.will_buy.astype(np.int64)
        pairs = _both(first.purchase), _both(second.purchase)
        self.weights = (
            _best(lambda w: class_losses(valid.target, _mix(first.action, second.action, w))),
            _best(lambda w: binary_losses(valid.will_buy, _mix(*pairs, w)[:, 1])),
        )
        action, purchase = self._mixed(first, second)
        self.scales: tuple[Calibration, Calibration] = (
            fit_calibration(action, valid.target),
            fit_calibration(purchase, buys),
        )

    def predict(self, first: Predictions, second: Predictions) -> Predictions:
        """Calibrated probabilities from what both models say of any cases."""
        action, purchase = self._mixed(first, second)
        by_action, by_purchase = self.scales
        return Predictions(by_action.apply(action), by_purchase.apply(purchase)[:, 1])

    def _mixed(self, first: Predictions, second: Predictions) -> tuple[Floats, Floats]:
        by_action, by_purchase = self.weights
        return (
            _mix(first.action, second.action, by_action),
            _mix(_both(first.purchase), _both(second.purchase), by_purchase),
        )


def _best(losses: Callable[[float], Floats]) -> float:
    return float(_WEIGHTS[np.argmin([losses(weight).mean() for weight in _WEIGHTS])])


def _mix(first: Floats, second: Floats, weight: float) -> Floats:
    """The weighted geometric mean of distributions (n, classes), which is the mean of their logits."""
    logs = weight * np.log(np.maximum(first, _FLOOR)) + (1.0 - weight) * np.log(np.maximum(second, _FLOOR))
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _both(purchase: Floats) -> Floats:
    """Probabilities of no purchase and of a purchase (n, 2)."""
    return np.stack([1.0 - purchase, purchase], axis=1)
