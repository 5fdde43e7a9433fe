"""Fitting one row of the table: its settings on the first seed, then the best of them on the others."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.metrics import binary_losses, class_losses
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.blend import Blend
from models.next_action.evaluation.contender import Contender, Predictions, Row

_TIMED_CASES = 100
_WARM_UP_CASES = 5


@dataclass(frozen=True, slots=True)
class Split:
    """The cases of one shop, in three parts by time."""

    train: PrefixSet
    valid: PrefixSet
    test: PrefixSet

    def with_rates(self) -> "Split":
        """The same parts with the rates of items in what is read."""
        return Split(*(part.with_rates() for part in (self.train, self.valid, self.test)))

    @classmethod
    def of(cls, cases: PrefixSet, train: float, valid: float) -> "Split":
        """Shares of the sessions by their start, the rest is test; `ValueError` if a part is too small."""
        if not (0 < train < 1 and 0 < valid < 1 and train + valid < 1):
            raise ValueError(
                f"train and valid must be shares and leave some to test, got {train:g} and {valid:g}"
            )
        if not len(cases):
            raise ValueError("there are no events to learn from")
        split = cls(*cases.split(*cases.boundaries(train, train + valid)))
        for name, part in (("train", split.train), ("valid", split.valid), ("test", split.test)):
            part.require_data(name)
        if len(np.unique(split.train.target)) < 2:
            raise ValueError("the training part has only one kind of next action: more events are needed")
        return split


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is spent on every row alike: `tries` of its settings, one more fit for each further seed.

    `jobs` rows are fitted at once, each in a process of its own if there are several.
    """

    seeds: Sequence[int]
    tries: int
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class RowFits:
    """What the models of one row say of the validation and of the test cases, one model per seed.

    `settings` are those of `tried` with the lowest loss on validation; a prediction takes `us` on its own, a
    fit `fit_s`.
    """

    valid: list[Predictions]
    test: list[Predictions]
    parameters: int
    us: float
    fit_s: float
    tried: int
    settings: Mapping[str, Any]


def fit_row(row: Row, split: Split, plan: Plan) -> RowFits:
    """Fit, choose and predict; a row without seeds is fitted with its best settings once."""
    began_s = time.perf_counter()
    settings = row.settings[: plan.tries]
    tried = [_fit(row, own, split, plan.seeds[0]) for own in settings]
    said = [contender.predict(split.valid) for contender in tried]
    best = int(np.argmin([_loss(split.valid, one) for one in said]))
    contenders = [tried[best]]
    if row.seeded:
        contenders += [_fit(row, settings[best], split, seed) for seed in plan.seeds[1:]]
    n_fits = len(tried) + len(contenders) - 1
    fit_s = (time.perf_counter() - began_s) / n_fits
    return RowFits(
        [said[best], *(contender.predict(split.valid) for contender in contenders[1:])],
        [contender.predict(split.test) for contender in contenders],
        contenders[-1].parameters,
        time_prediction(contenders[-1], split.test),
        fit_s,
        len(tried),
        settings[best],
    )


def blend_rows(first: RowFits, second: RowFits, split: Split) -> RowFits:
    """The blend of two rows, seed by seed."""
    blends = [Blend(*pair, split.valid) for pair in zip(first.valid, second.valid, strict=True)]
    valid, test = (
        [blend.predict(*pair) for blend, *pair in zip(blends, of_first, of_second, strict=True)]
        for of_first, of_second in ((first.valid, second.valid), (first.test, second.test))
    )
    weights = np.mean([blend.weights for blend in blends], axis=0).round(2).tolist()
    return RowFits(
        valid,
        test,
        first.parameters + second.parameters + 2,
        first.us + second.us,
        first.fit_s + second.fit_s,
        min(first.tried, second.tried),
        dict(zip(("weight_of_action", "weight_of_purchase"), weights, strict=True)),
    )


def _fit(row: Row, settings: Mapping[str, Any], split: Split, seed: int) -> Contender:
    contender = row.make(**settings)
    contender.fit(split.train, split.valid, seed)
    return contender


def _loss(valid: PrefixSet, said: Predictions) -> float:
    action, purchase = class_losses(valid.target, said.action), binary_losses(valid.will_buy, said.purchase)
    return float(action.mean() + purchase.mean())


def time_prediction(contender: Contender, cases: PrefixSet) -> float:
    """Median microseconds of predicting one case alone, from encoded case to probabilities."""
    at = np.linspace(0, len(cases) - 1, _TIMED_CASES).astype(np.int64)
    alone = [cases.select(at[i : i + 1]) for i in range(len(at))]
    for case in alone[:_WARM_UP_CASES]:
        contender.predict(case)
    taken_ns = []
    for case in alone:
        began_ns = time.perf_counter_ns()
        contender.predict(case)
        taken_ns.append(time.perf_counter_ns() - began_ns)
    return float(np.median(taken_ns)) / 1e3
