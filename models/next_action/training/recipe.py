"""From cases of shops to an artefact: the whole training as one function."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.next_action.card import NextActionCard
from models.next_action.cases import PrefixSet, concatenate
from models.next_action.evaluation.metrics import measure
from models.next_action.evaluation.trees import BoostedTrees
from models.next_action.training.blend import FittedModel, blend, probabilities
from models.next_action.training.calibration import calibrated, identity
from models.next_action.training.export import make_artefact
from models.next_action.training.fit import BUDGET, LARGE, Epoch, FitConfig, fit_net
from models.next_action.training.net_config import BLEND, BUCKETS, KINDS, NET_KINDS, NetConfig, NetKind
from models.sufficiency import NotEnoughData

_LARGE_RATE = 0.1
"""How fast trees learn where cases are many: no worse there than with the rate of `BoostedTrees`, they are a
third as many, which is a third of the time in training and in every prediction, and of the file."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train. Of the sessions of each shop the first `train` share is learnt from, the next `valid`
    share stops and calibrates, the rest is the test. `budget` None: the trunk is as wide as `net` says.
    `trees` are arguments of `BoostedTrees`, with which the network is blended; None: it stays alone. With
    `rates` the model reads how items convert."""

    net: NetConfig
    fit: FitConfig
    seed: int = 1
    train: float = 0.7
    valid: float = 0.15
    licence: str = ""
    budget: int | None = BUDGET
    trees: Mapping[str, Any] | None = None
    rates: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.train < 1 and 0 < self.valid < 1 and self.train + self.valid <= 1):
            raise ValueError(
                f"train and valid must be shares of at most 1 together, got {self.train:g} and {self.valid:g}"
            )


def recipe_of(
    kind: str, fit: FitConfig, *, embeddings: bool = False, rates: bool = True, **others: Any
) -> Recipe:
    """The recipe of one of `KINDS`; raises `ValueError` for any other. `others` are fields of `Recipe`."""
    net: NetKind = next((net for net in NET_KINDS if net == kind), "cnn_bigru")
    if kind not in KINDS:
        raise ValueError(f"the kind of model must be one of {', '.join(KINDS)}, got {kind!r}")
    buckets = BUCKETS if embeddings else 0
    trees: Mapping[str, Any] | None = {} if kind == BLEND else None
    return Recipe(NetConfig(kind=net, buckets=buckets), fit, trees=trees, rates=rates, **others)


@dataclass(frozen=True, slots=True)
class Trained:
    """An artefact ready to be written, and how the training went."""

    model: bytes
    card: NextActionCard
    fitted: FittedModel


def train(
    shops: Mapping[str, PrefixSet],
    recipe: Recipe,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_round: Callable[[int], None] | None = None,
) -> Trained:
    """Train on the cases of one or more shops, by name; raises `ValueError` where there are too few.

    A network that reads names learns from one shop only: elsewhere they mean something else. `on_epoch` is
    told each epoch of the network, `on_round` the number of each round of trees.
    """
    if recipe.net.buckets and len(shops) != 1:
        raise ValueError(f"embeddings are of the names of one shop, got {len(shops)}: {', '.join(shops)}")
    shops = {name: cases.with_rates(recipe.rates) for name, cases in shops.items()}
    parts = {name: _split(name, cases, recipe) for name, cases in shops.items()}
    learnt, checked = (concatenate([part[i] for part in parts.values()]) for i in (0, 1))
    fitted = _fit(recipe, learnt, checked, on_epoch, on_round)
    metrics: dict[str, Any] = {
        f"{which} {name}": _measure(fitted, part[i])
        for name, part in parts.items()
        for i, which in ((1, "valid"), (2, "test"))
        if len(part[i])
    }
    model, card = make_artefact(
        fitted,
        learnt,
        checked,
        config=_config(fitted, recipe),
        training={
            "shops": {
                name: origin_of(cases, part[0], with_ids=bool(recipe.net.buckets))
                for (name, cases), part in zip(shops.items(), parts.values(), strict=True)
            },
            "seed": recipe.seed,
            "shares": [recipe.train, recipe.valid],
            "epochs": fitted.network.best.number,
            "parameters": fitted.parameters,
            **({} if fitted.beside is None else {"network_weights": list(fitted.beside.weights)}),
        },
        metrics=metrics,
        licence=recipe.licence,
    )
    return Trained(model, card, fitted)


def _fit(
    recipe: Recipe,
    learnt: PrefixSet,
    checked: PrefixSet,
    on_epoch: Callable[[Epoch], None] | None,
    on_round: Callable[[int], None] | None,
) -> FittedModel:
    network = fit_net(
        recipe.net, recipe.fit, learnt, checked, seed=recipe.seed, budget=recipe.budget, on_epoch=on_epoch
    )
    if recipe.trees is None:
        return FittedModel(network, network.calibration)
    trees = BoostedTrees(on_round=on_round, **scaled_trees(recipe.trees, len(learnt)))
    trees.fit(learnt, checked, recipe.seed)
    return blend(network, trees, checked)


def scaled_trees(settings: Mapping[str, Any], n_cases: int) -> dict[str, Any]:
    """The settings of trees for so many cases: with many, they learn faster unless a rate is set."""
    return {**({"learning_rate": _LARGE_RATE} if n_cases >= LARGE else {}), **settings}


def _config(fitted: FittedModel, recipe: Recipe) -> dict[str, Any]:
    config: dict[str, Any] = {"net": asdict(fitted.network.net.config), "fit": asdict(recipe.fit)}
    if fitted.beside is not None:
        trees = fitted.beside.trees
        config["trees"] = {"most_rounds": trees.most_rounds, **trees.settings}
    return config


def _split(name: str, cases: PrefixSet, recipe: Recipe) -> tuple[PrefixSet, PrefixSet, PrefixSet]:
    if not len(cases):
        raise ValueError(f"{name} has no events to learn from")
    parts = cases.split(*cases.boundaries(recipe.train, recipe.train + recipe.valid))
    for part, share in zip(parts, ("train", "valid"), strict=False):
        try:
            part.require_data(share)
        except NotEnoughData as exc:
            raise NotEnoughData(f"{name}: {exc}") from exc
    return parts


def _measure(fitted: FittedModel, cases: PrefixSet) -> dict[str, float | None]:
    figures = measure(cases, probabilities(calibrated(fitted.logits_of(cases), identity())))
    return {name: round(value, 5) if np.isfinite(value) else None for name, value in figures.items()}


def origin_of(cases: PrefixSet, learnt: PrefixSet, *, with_ids: bool) -> dict[str, Any]:
    """How many cases, from when to when, and a digest of their numbers."""
    digest = hashlib.sha256()
    parts = (cases.steps, cases.context, cases.target, cases.will_buy, cases.at_ms)
    for part in (*parts, cases.ids) if with_ids else parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return {
        "cases": len(cases),
        "learnt_from": len(learnt),
        "sessions": int((cases.length == 1).sum()),
        "from_ms": int(cases.start_ms.min()),
        "until_ms": int(cases.at_ms.max()),
        "sha256": digest.hexdigest(),
    }
