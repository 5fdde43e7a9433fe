"""Gradient-boosted trees on all that a network reads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

try:
    import lightgbm as lgb
except OSError as exc:
    raise ImportError(f"LightGBM needs OpenMP of the system (Debian: libgomp1): {exc}") from exc

from models.evaluation.calibration import fit_calibration
from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Floats, Predictions
from models.next_action.evaluation.flat import Rows, flat_chunks, flat_names

MOST_ROUNDS = 1_500
_PATIENCE = 50
_NEVER = float(np.log(1e-9))
"""Score of an action that the training part does not have."""
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
    """LightGBM, one model for the next action and one for the purchase, early stopping on validation.

    `settings` are LightGBM's where they differ from `SETTINGS`. Once fitted, `action` has a tree a round for
    each of `classes`, `purchase` has one, and `scales` calibrate what the two say. `on_round` is told the
    number of every round while it is fitted, from 1 on for each of the two.
    """

    def __init__(
        self,
        *,
        most_rounds: int = MOST_ROUNDS,
        on_round: Callable[[int], None] | None = None,
        **settings: Any,
    ) -> None:
        self.settings = {**SETTINGS, **settings}
        self.most_rounds = most_rounds
        self._on_round = on_round
        self.classes: npt.NDArray[np.int64] = np.arange(0)

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
        self.classes = np.unique(train.target)
        place = np.searchsorted(self.classes, np.arange(len(TARGETS))).clip(max=len(self.classes) - 1)
        data = self._binned(train)
        checks, answers = self._binned(valid, data), place[valid.target]
        # A kind of action that was not learnt has no place, and no say in when to stop.
        seen = np.isin(valid.target, self.classes).astype(np.float64)
        multiclass = {"objective": "multiclass", "num_class": len(self.classes), "seed": seed}
        binary = {"objective": "binary", "seed": seed}
        self.action = self._boost(
            multiclass, data, place[train.target], checks, answers, None if seen.all() else seen
        )
        self.purchase = self._boost(binary, data, train.will_buy, checks, valid.will_buy)
        raw = self._raw(valid)
        self.scales = (
            fit_calibration(raw.action, valid.target),
            fit_calibration(_both(raw.purchase), valid.will_buy.astype(np.int64)),
        )

    def predict(self, cases: PrefixSet) -> Predictions:
        """Calibrated probabilities."""
        raw = self._raw(cases)
        by_action, by_purchase = self.scales
        return Predictions(by_action.apply(raw.action), by_purchase.apply(_both(raw.purchase))[:, 1])

    def scores(self, rows: Rows) -> Floats:
        """What the trees add up to (n, 6) for the rows of `flat_inputs`: log odds, not calibrated yet."""
        scores = np.tile(self.base, (len(rows), 1))
        scores[:, self.classes] += self.action.predict(rows, raw_score=True, num_threads=1)
        scores[:, -1] += self.purchase.predict(rows, raw_score=True, num_threads=1)
        return scores

    @property
    def base(self) -> Floats:
        """The scores (6,) without any tree."""
        return np.append(np.where(np.isin(np.arange(len(TARGETS)), self.classes), 0.0, _NEVER), 0.0)

    def _binned(self, cases: PrefixSet, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        """The rows as LightGBM learns from them. Sparse: most steps are absent, and all are gigabytes."""
        rows = vstack([csr_array(own) for _, own in flat_chunks(cases)], format="csr")
        names = flat_names(cases.context.shape[1])
        return lgb.Dataset(rows, reference=reference, feature_name=names, params=self.settings).construct()

    def _boost(
        self,
        objective: dict[str, Any],
        data: lgb.Dataset,
        labels: npt.NDArray[Any],
        checks: lgb.Dataset,
        answers: npt.NDArray[Any],
        weights: Floats | None = None,
    ) -> lgb.Booster:
        data.set_label(labels)
        checks.set_label(answers).set_weight(weights)
        settings = {**self.settings, **objective}
        callbacks: list[Callable[..., Any]] = [self._tell, lgb.early_stopping(_PATIENCE, verbose=False)]
        return lgb.train(settings, data, self.most_rounds, valid_sets=[checks], callbacks=callbacks)

    def _tell(self, at: lgb.callback.CallbackEnv) -> None:
        if self._on_round is not None:
            self._on_round(at.iteration + 1)

    def _raw(self, cases: PrefixSet) -> Predictions:
        action, purchase = np.zeros((len(cases), len(TARGETS))), np.empty(len(cases))
        for chunk, rows in flat_chunks(cases):
            action[chunk, self.classes] = self.action.predict(rows, num_threads=1)
            purchase[chunk] = self.purchase.predict(rows, num_threads=1)
        return Predictions(action, purchase)


def _both(purchase: Floats) -> Floats:
    """Probabilities of no purchase and of a purchase (n, 2)."""
    return np.stack([1.0 - purchase, purchase], axis=1)
