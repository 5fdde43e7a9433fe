"""Gradient-boosted trees on all that a network reads."""

from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from models.evaluation.calibration import Calibration, fit_calibration
from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Floats, Predictions
from models.next_action.evaluation.flat import flat_inputs, flat_names

_MOST_ROUNDS = 1_500
_PATIENCE = 50
SETTINGS: dict[str, Any] = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


class BoostedTrees:
    """LightGBM, one model for the next action and one for the purchase, early stopping on validation."""

    def __init__(self, **settings: Any) -> None:
        self._settings = {**SETTINGS, **settings}
        self._classes: npt.NDArray[np.int64] = np.arange(0)

    @property
    def parameters(self) -> int:
        """Leaves of all trees."""
        return sum(
            tree["num_leaves"]
            for model in (self.action, self.purchase)
            for tree in model.dump_model()["tree_info"]
        )

    def fit(self, train: PrefixSet, valid: PrefixSet, seed: int) -> None:
        """Fit and calibrate."""
        rows, checks = flat_inputs(train), flat_inputs(valid)
        self._names = flat_names(train.context.shape[1])
        self._classes = np.unique(train.target)
        place = np.searchsorted(self._classes, np.arange(len(TARGETS))).clip(max=len(self._classes) - 1)
        seen = np.isin(valid.target, self._classes)
        multiclass = {"objective": "multiclass", "num_class": len(self._classes), "seed": seed}
        binary = {"objective": "binary", "seed": seed}
        self.action = self._boost(
            multiclass, rows, place[train.target], checks[seen], place[valid.target[seen]]
        )
        self.purchase = self._boost(binary, rows, train.will_buy, checks, valid.will_buy)
        self._scales = Calibration(1.0, np.zeros(len(TARGETS))), Calibration(1.0, np.zeros(2))
        raw = self._raw(checks)
        self._scales = (
            fit_calibration(raw.action, valid.target),
            fit_calibration(_both(raw.purchase), valid.will_buy.astype(np.int64)),
        )

    def predict(self, cases: PrefixSet) -> Predictions:
        """Calibrated probabilities."""
        raw = self._raw(flat_inputs(cases))
        by_action, by_purchase = self._scales
        return Predictions(by_action.apply(raw.action), by_purchase.apply(_both(raw.purchase))[:, 1])

    def _boost(
        self,
        objective: dict[str, Any],
        rows: npt.NDArray[np.float32],
        labels: npt.NDArray[Any],
        checks: npt.NDArray[np.float32],
        answers: npt.NDArray[Any],
    ) -> lgb.Booster:
        train = lgb.Dataset(rows, labels, feature_name=self._names)
        valid = lgb.Dataset(checks, answers, reference=train, feature_name=self._names)
        stop = lgb.early_stopping(_PATIENCE, verbose=False)
        return lgb.train(
            {**self._settings, **objective}, train, _MOST_ROUNDS, valid_sets=[valid], callbacks=[stop]
        )

    def _raw(self, rows: npt.NDArray[np.float32]) -> Predictions:
        action = np.zeros((len(rows), len(TARGETS)))
        action[:, self._classes] = np.asarray(self.action.predict(rows, num_threads=1))
        return Predictions(action, np.asarray(self.purchase.predict(rows, num_threads=1)))


def _both(purchase: Floats) -> Floats:
    """Probabilities of no purchase and of a purchase (n, 2)."""
    return np.stack([1.0 - purchase, purchase], axis=1)
