"""The linear baseline: softmax and logistic regression over all that a network reads."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from models.evaluation.calibration import Calibration, fit_calibration
from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Predictions
from models.next_action.evaluation.flat import flat_inputs

_CLIP = 5.0
_MOST_STEPS = 200


class LinearModel:
    """Standardised inputs, weights shrunk by `penalty` times half their squares; fitted by L-BFGS."""

    def __init__(self, penalty: float = 1e-3) -> None:
        self._penalty = penalty

    @property
    def parameters(self) -> int:
        """Weights and biases of both regressions."""
        return sum(weights.size for weights in (self._action, self._purchase))

    def fit(self, train: PrefixSet, valid: PrefixSet, seed: int) -> None:  # noqa: ARG002  # convex
        """Fit and calibrate."""
        rows = flat_inputs(train)
        self._mean, spread = rows.mean(axis=0), rows.std(axis=0)
        self._columns = spread > 1e-6
        self._scale = np.where(self._columns, spread, 1.0)
        inputs = torch.from_numpy(self._standardise(rows))
        target, bought = torch.from_numpy(train.target), torch.from_numpy(train.will_buy.astype(np.float32))
        self._action = self._minimise(inputs, len(TARGETS), lambda said: cross_entropy(said, target))
        self._purchase = self._minimise(
            inputs, 1, lambda said: binary_cross_entropy_with_logits(said[:, 0], bought)
        )
        self._scales = Calibration(1.0, np.zeros(len(TARGETS))), Calibration(1.0, np.zeros(2))
        raw = self.predict(valid)
        both = np.stack([1.0 - raw.purchase, raw.purchase], axis=1)
        self._scales = (
            fit_calibration(raw.action, valid.target),
            fit_calibration(both, valid.will_buy.astype(np.int64)),
        )

    def predict(self, cases: PrefixSet) -> Predictions:
        """Calibrated probabilities."""
        inputs = self._standardise(flat_inputs(cases))
        said = (inputs @ self._action[:-1] + self._action[-1]).astype(np.float64)
        action = np.exp(said - said.max(axis=1, keepdims=True))
        action /= action.sum(axis=1, keepdims=True)
        logit = (inputs @ self._purchase[:-1] + self._purchase[-1])[:, 0].astype(np.float64)
        purchase = 1.0 / (1.0 + np.exp(-logit.clip(-30.0, 30.0)))
        by_action, by_purchase = self._scales
        both = np.stack([1.0 - purchase, purchase], axis=1)
        return Predictions(by_action.apply(action), by_purchase.apply(both)[:, 1])

    def _standardise(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        inputs = (rows - self._mean) / self._scale
        return np.asarray(inputs[:, self._columns].clip(-_CLIP, _CLIP), dtype=np.float32)

    def _minimise(
        self, inputs: Tensor, outputs: int, loss: Callable[[Tensor], Tensor]
    ) -> npt.NDArray[np.float32]:
        """Weights (features + 1, outputs), the bias last."""
        weights = torch.zeros(inputs.shape[1] + 1, outputs, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights], max_iter=_MOST_STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss(inputs @ weights[:-1] + weights[-1])
            value = value + 0.5 * self._penalty * weights[:-1].square().sum()
            value.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            return value

        optimizer.step(closure)  # type: ignore[no-untyped-call]  # untyped in torch
        return np.asarray(weights.detach().numpy())
