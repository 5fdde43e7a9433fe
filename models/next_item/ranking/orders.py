"""What orders candidates: boosted trees over all features, or a weighted sum of the models' scores."""

from collections.abc import Callable, Collection
from typing import Any, Protocol

try:
    import lightgbm as lgb
except OSError as exc:
    raise ImportError(f"LightGBM needs OpenMP of the system (Debian: libgomp1): {exc}") from exc
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from models.next_item.ranking.candidates import RELATIVE, Pairs
from models.next_item.ranking.pool import Labelled

Floats = npt.NDArray[np.float64]
_MOST_ROUNDS, _PATIENCE = 500, 30
_PULL = 1e-3
"""On the squares of a blend's weights: models that say the same share their weight."""
SETTINGS: dict[str, Any] = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [20],
    "lambdarank_truncation_level": 20,
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


class Order(Protocol):
    """Learns which of a prefix's candidates comes next."""

    name: str

    def fit(self, learnt: Labelled, checked: Labelled, feature_names: list[str]) -> None:
        """Learn from scratch."""
        ...

    def values(self, pairs: Pairs) -> Floats:
        """(pairs,): higher is earlier, among the pairs of one prefix."""
        ...


class TreeOrder:
    """LambdaRank (Burges, 2010) by LightGBM, stopped by NDCG@20 on the pairs to check on."""

    name = "ranker"

    def __init__(
        self,
        *,
        seed: int = 1,
        without: Collection[str] = (),
        on_round: Callable[[int], None] = lambda _: None,
        **settings: Any,
    ) -> None:
        """`settings` are LightGBM's where they differ from `SETTINGS`; `on_round` is told each round.

        `without` names features that are not looked at.
        """
        self._settings = {**SETTINGS, "seed": seed, **settings}
        self._without = without
        self._on_round = on_round

    def fit(self, learnt: Labelled, checked: Labelled, feature_names: list[str]) -> None:
        self._columns = [at for at, name in enumerate(feature_names) if name not in self._without]
        data = self._dataset(learnt, feature_names)
        checks = self._dataset(checked, feature_names, data)
        callbacks: list[Callable[..., Any]] = [self._tell, lgb.early_stopping(_PATIENCE, verbose=False)]
        self.booster = lgb.train(self._settings, data, _MOST_ROUNDS, valid_sets=[checks], callbacks=callbacks)

    def values(self, pairs: Pairs) -> Floats:
        return np.asarray(self.booster.predict(pairs.features[:, self._columns], num_threads=1))

    def importance(self) -> dict[str, float]:
        """How much each feature gained, as a share of all, the largest first."""
        gains = self.booster.feature_importance("gain")
        shares = gains / max(1e-9, gains.sum())
        order = np.argsort(-shares, kind="stable")
        names = self.booster.feature_name()
        return {names[index]: float(shares[index]) for index in order}

    def _dataset(self, part: Labelled, names: list[str], reference: lgb.Dataset | None = None) -> lgb.Dataset:
        labels = np.zeros(len(part.pairs.row))
        labels[part.target_at] = 1.0
        return lgb.Dataset(
            part.pairs.features[:, self._columns], labels, group=part.sizes, reference=reference,
            feature_name=[names[at].replace(" ", "_") for at in self._columns],
        )  # fmt: skip

    def _tell(self, at: lgb.callback.CallbackEnv) -> None:
        self._on_round(at.iteration + 1)


class BlendOrder:
    """A weighted sum of what the models score, each relative to its highest score of the prefix.

    The weights, none below 0, are those of a softmax over the candidates that fits the checked pairs best.
    """

    name = "blend"

    def fit(self, learnt: Labelled, checked: Labelled, feature_names: list[str]) -> None:  # noqa: ARG002
        self._names = [name.removesuffix(RELATIVE) for name in feature_names if name.endswith(RELATIVE)]
        scores = checked.pairs.relative.astype(np.float64)
        begins = np.append(0, np.cumsum(checked.sizes)[:-1])
        row = np.repeat(np.arange(len(checked.sizes)), checked.sizes)

        def loss(weights: Floats) -> tuple[float, Floats]:
            logits = scores @ weights
            shares = np.exp(logits - np.maximum.reduceat(logits, begins)[row])
            shares /= np.add.reduceat(shares, begins)[row]
            value = -np.log(shares[checked.target_at]).mean() + _PULL * np.square(weights).sum()
            expected = (shares[:, None] * scores).sum(axis=0) / len(begins)
            slope = expected - scores[checked.target_at].mean(axis=0) + 2.0 * _PULL * weights
            return float(value), slope

        start = np.ones(scores.shape[1])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(start))
        self.weights: Floats = found.x

    def importance(self) -> dict[str, float]:
        """The weight of each model."""
        return {name: float(weight) for name, weight in zip(self._names, self.weights, strict=True)}

    def values(self, pairs: Pairs) -> Floats:
        return np.asarray(pairs.relative @ self.weights)
