"""Learning the order of candidates as the live path makes them: LambdaRank, exported as ONNX trees."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from typing import Any, NamedTuple

try:
    import lightgbm as lgb
except OSError as exc:
    raise ImportError(f"LightGBM needs OpenMP of the system (Debian: libgomp1): {exc}") from exc
import numpy as np
import numpy.typing as npt

from contracts.visitor import Action
from models.next_item.card import RankerCard
from models.next_item.training.candidate_cases import CandidateCases, Ints, replay_candidates
from models.recommendation.candidates import FEATURES
from models.recommendation.session_model import SessionModel
from models.tree_export import export_trees, golden_rows

TOP = 20
_CHECKED_SHARE = 0.25
"""Of the questions, the latest, which say how many trees there are."""
_FEWEST = 20
"""Questions to learn from, and to check on."""
_MOST_TREES, _PATIENCE = 400, 25
_LIBRARIES = ("lightgbm", "onnx")


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """How the trees are grown.

    Of `most_asked` questions those count whose answer was a candidate. Of the candidates that did not come
    next, the share `kept_wrong` is drawn: trees grow faster and no worse.
    """

    most_asked: int = 25_000
    kept_wrong: float = 0.35
    learning_rate: float = 0.05
    leaves: int = 31
    least_rows: int = 50
    seed: int = 1


class Ranker(NamedTuple):
    """The trees in ONNX, and what the card of the network says of them."""

    model: bytes
    card: RankerCard


def train_ranker(
    actions: Sequence[tuple[str, Action]],
    first: int,
    model: SessionModel,
    config: RankerConfig,
    *,
    idle_ms: int,
    on_question: Callable[[], None] = lambda: None,
) -> Ranker | None:
    """Trees that learn from the actions from place `first` on: see `replay_candidates`.

    None where too few of the questions have an answer among their candidates.
    """
    cases = replay_candidates(
        actions, first, model, idle_ms=idle_ms, most=config.most_asked, on_question=on_question
    )
    learnt, checked = cases.split(_CHECKED_SHARE)
    if min(len(learnt), len(checked)) < _FEWEST:
        return None
    booster = _grow(learnt, checked, config)
    trees = export_trees(booster, "next_item_candidates")
    card = RankerCard(
        sha256=hashlib.sha256(trees).hexdigest(),
        features=FEATURES,
        golden=golden_rows(booster, checked.rows),
        config={**asdict(config), "trees": booster.num_trees()},
        training={
            "asked": cases.asked,
            "learnt": len(learnt),
            "checked": len(checked),
            "libraries": {name: installed(name) for name in _LIBRARIES},
            "gain": _gains(booster),
        },
        metrics={
            "sessions": _figures(1 + checked.target, checked.asked),
            "blend": _figures(checked.blended, checked.asked),
            "ranker": _figures(_ranks(checked, booster.predict(checked.rows, num_threads=1)), checked.asked),
        },
    )
    return Ranker(trees, card)


def _grow(learnt: CandidateCases, checked: CandidateCases, config: RankerConfig) -> lgb.Booster:
    parameters: dict[str, Any] = {
        "objective": "lambdarank", "metric": "ndcg", "eval_at": [TOP], "lambdarank_truncation_level": TOP,
        "learning_rate": config.learning_rate, "num_leaves": config.leaves,
        "min_data_in_leaf": config.least_rows, "feature_fraction": 0.8, "lambda_l2": 5.0, "seed": config.seed,
        "num_threads": 1, "deterministic": True, "force_row_wise": True, "use_missing": False,
        "verbosity": -1,
    }  # fmt: skip
    random = np.random.default_rng(config.seed)
    data = _dataset(learnt, random.random(len(learnt.rows)) < config.kept_wrong)
    checks = _dataset(checked, np.ones(len(checked.rows), bool), data)
    return lgb.train(
        parameters, data, _MOST_TREES, valid_sets=[checks],
        callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
    )  # fmt: skip


def _dataset(
    cases: CandidateCases, kept: npt.NDArray[np.bool_], reference: lgb.Dataset | None = None
) -> lgb.Dataset:
    labels = np.zeros(len(cases.rows))
    labels[_begins(cases) + cases.target] = 1.0
    kept = kept | (labels > 0)
    owner = np.repeat(np.arange(len(cases)), cases.sizes)
    return lgb.Dataset(
        cases.rows[kept], labels[kept], group=np.bincount(owner[kept], minlength=len(cases)),
        reference=reference, feature_name=list(FEATURES),
    )  # fmt: skip


def _begins(cases: CandidateCases) -> Ints:
    return np.cumsum(cases.sizes) - cases.sizes


def _ranks(cases: CandidateCases, scores: Any) -> Ints:
    """The rank of each target, from 1; ties are against it."""
    begins = _begins(cases)
    own = np.repeat(np.asarray(scores)[begins + cases.target], cases.sizes)
    return np.add.reduceat((np.asarray(scores) >= own).astype(np.int64), begins)


def _figures(ranks: Ints, asked: int) -> dict[str, float]:
    """Of all questions, those too whose answer was no candidate."""
    found = ranks <= TOP
    gains = {"recall": found, "mrr": found / ranks, "ndcg": found / np.log2(ranks + 1.0)}
    return {f"{name}@{TOP}": round(float(gain.sum()) / asked, 5) for name, gain in gains.items()}


def _gains(booster: lgb.Booster) -> dict[str, float]:
    """The share of the trees' gain that each feature brought, the largest first."""
    gain = booster.feature_importance("gain")
    shares = gain / max(float(gain.sum()), 1e-12)
    order = np.argsort(-shares, kind="stable").tolist()
    return {FEATURES[at]: round(float(shares[at]), 4) for at in order if shares[at] > 0}
