"""The decision-tree ranker: LambdaRank over candidates, with a network's score among the features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Ints
from models.next_basket.candidates import candidates_of
from models.next_basket.features import FEATURES, NEED_OTHERS
from models.next_basket.model import Examples, Scores, Training
from models.next_basket.sources import Network, Sources
from models.next_basket.transition import Transition

_BATCH = 256
_FOLLOWERS = 100
"""Of each item, kept in an artefact."""
_STOPPED_ON = 0.1
"""Share of the cases by whose NDCG the number of trees is chosen."""
_PATIENCE = 40
"""Trees without a better NDCG before growing stops, and the fewest that are kept: with few held cases a
single tree can be the best, since equal scores count in its favour."""


class Table(NamedTuple):
    """Candidates of many cases: features, whether each was bought, and how many rows each case has.

    `basket_sizes` are the items that were bought, candidates or not.
    """

    features: npt.NDArray[np.float32]
    bought: npt.NDArray[np.bool_]
    sizes: Ints
    basket_sizes: Ints


@dataclass(slots=True)
class TreeRanker:
    """Trees over `FEATURES`. Sources learn from known baskets only, the trees from the examples.

    Of the examples, `most_cases` are drawn; a case of which no candidate was bought says nothing and is left
    out. Of its candidates that were not bought, the share `kept_unbought` is drawn: trees grow faster and no
    worse. `make_network`: what makes the network, None for none. `with_others` False: nothing is read that a
    request of one customer cannot tell, so that the ranker can be exported and served.
    """

    make_network: Callable[[], Network] | None = None
    with_others: bool = True
    learning_rate: float = 0.05
    leaves: int = 15
    least_rows: int = 100
    most_trees: int = 400
    most_cases: int = 6_000
    kept_unbought: float = 0.12
    without: Sequence[str] = ()
    threads: int = 1
    seed: int = 0
    name: str = "tree ranker"
    _columns: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    booster: lightgbm.Booster | None = None
    sources: Sources | None = None
    """Of everything known."""

    def fit(self, training: Training) -> None:
        """Fit the sources of the examples, the trees on what they say, and the sources of what is known."""
        random = np.random.default_rng(self.seed)
        total = sum(each.cases.histories.n_users for each in training.examples)
        tables, sources = [], None
        for each in training.examples:
            sources = self._fitted(each.known)
            n = each.cases.histories.n_users
            share = min(1.0, self.most_cases / max(1, total))
            chosen = np.sort(random.permutation(n)[: max(1, round(share * n))])
            table = _table(each._replace(cases=each.cases.of_users(chosen)), sources)
            tables.append(_drawn(table, self.kept_unbought, random))
        table = _joined(tables)
        without = {*self.without, *(() if self.with_others else NEED_OTHERS)}
        self._columns = np.flatnonzero([name not in without for name in FEATURES])
        self.booster = self._grow(table, random)
        is_same = bool(training.examples) and training.examples[-1].known is training.known
        self.sources = sources if is_same else self._fitted(training.known)

    def scores(self, histories: Baskets) -> Scores:
        """The trees' sums for candidates, -inf for everything else."""
        if self.booster is None or self.sources is None:
            raise ValueError("a ranker must be fitted before it is asked")
        found = candidates_of(histories, self.sources)
        scores = np.full((histories.n_users, histories.n_items), -np.inf, np.float32)
        rows = found.features[:, self._columns]
        scores.ravel()[found.key] = self.booster.predict(rows, num_threads=self.threads)
        return scores

    def config(self) -> dict[str, Any]:
        """Settings, and the number of trees that were kept."""
        names = (
            "learning_rate", "leaves", "least_rows", "most_trees", "most_cases", "kept_unbought", "seed"
        )  # fmt: skip
        trees = 0 if self.booster is None else self.booster.num_trees()
        return {"trees": {**{name: getattr(self, name) for name in names}, "kept": trees}}

    def importances(self) -> dict[str, float]:
        """The share of the trees' gain that each feature brought."""
        if self.booster is None:
            return {}
        gain = self.booster.feature_importance("gain")
        names = [FEATURES[column] for column in self._columns]
        return dict(zip(names, (gain / max(gain.sum(), 1e-12)).tolist(), strict=True))

    def _fitted(self, known: Baskets) -> Sources:
        if not self.with_others:
            return Sources(with_others=False, transition=Transition(most=_FOLLOWERS)).fit(known)
        return Sources(network=None if self.make_network is None else self.make_network()).fit(known)

    def _grow(self, table: Table, random: np.random.Generator) -> lightgbm.Booster:
        held = np.zeros(len(table.sizes), bool)
        held[random.permutation(len(held))[: max(1, round(_STOPPED_ON * len(held)))]] = True
        rows = np.repeat(held, table.sizes)
        parameters: dict[str, Any] = {
            "objective": "lambdarank", "metric": "ndcg", "eval_at": [10], "num_leaves": self.leaves,
            "learning_rate": self.learning_rate, "min_data_in_leaf": self.least_rows, "seed": self.seed,
            "lambdarank_truncation_level": 30, "lambdarank_norm": False, "feature_fraction": 0.7,
            "bagging_fraction": 0.8, "bagging_freq": 1, "num_threads": self.threads, "deterministic": True,
            "force_row_wise": True, "use_missing": False, "verbosity": -1,
        }  # fmt: skip
        names = [FEATURES[column] for column in self._columns]
        # Recall is a share of each basket: without weights, the many pairs of large baskets rule.
        weights = np.repeat(table.basket_sizes**-0.5, table.sizes)
        grown = lightgbm.Dataset(
            table.features[~rows][:, self._columns], table.bought[~rows].astype(np.int32),
            group=table.sizes[~held], weight=weights[~rows], feature_name=names,
        )  # fmt: skip
        stopped = lightgbm.Dataset(
            table.features[rows][:, self._columns], table.bought[rows].astype(np.int32),
            group=table.sizes[held], weight=weights[rows], reference=grown,
        )  # fmt: skip
        booster = lightgbm.train(
            parameters, grown, self.most_trees, valid_sets=[stopped],
            callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
            keep_training_booster=True,  # else the trees after the best are gone
        )  # fmt: skip
        booster.best_iteration = max(booster.best_iteration, min(_PATIENCE, self.most_trees))
        return booster


def _table(examples: Examples, sources: Sources) -> Table:
    histories, targets = examples.cases
    parts = []
    for begin in range(0, histories.n_users, _BATCH):
        batch = np.arange(begin, min(histories.n_users, begin + _BATCH))
        found = candidates_of(histories.of_users(batch), sources)
        true = targets.of_users(batch)
        bought = np.isin(found.key, true.line_keys())
        useful = np.bincount(found.user, weights=bought.astype(np.float64), minlength=len(batch)) > 0
        rows = useful[found.user]
        sizes = np.bincount(found.user[rows], minlength=len(batch))[useful]
        parts.append(Table(found.features[rows], bought[rows], sizes, true.sizes()[useful]))
    return _joined(parts)


def _drawn(table: Table, share: float, random: np.random.Generator) -> Table:
    """All rows of what was bought, and a share of the others, drawn alike of own items and new ones."""
    kept = table.bought | (random.random(len(table.bought)) < share)
    owner = np.repeat(np.arange(len(table.sizes)), table.sizes)
    sizes = np.bincount(owner[kept], minlength=len(table.sizes))
    return table._replace(features=table.features[kept], bought=table.bought[kept], sizes=sizes)


def _joined(tables: Sequence[Table]) -> Table:
    return Table(*(np.concatenate(parts) for parts in zip(*tables, strict=True)))
