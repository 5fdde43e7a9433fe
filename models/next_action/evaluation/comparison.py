"""Running contenders on one split of one shop, over seeds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from models.evaluation.bootstrap import Interval
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Contender, MakeContender, Predictions
from models.next_action.evaluation.metrics import measure
from models.next_action.evaluation.resampling import Resampled, resample
from models.next_action.evaluation.slices import measure_slices

_TIMED_CASES = 100
_WARM_UP_CASES = 5

Progress = Callable[[str, int, int], None]
"""Called with what is being done, and how many of how many fits are done."""


@dataclass(frozen=True, slots=True)
class Split:
    """The cases of one shop, in three parts by time."""

    train: PrefixSet
    valid: PrefixSet
    test: PrefixSet

    @classmethod
    def of(cls, cases: PrefixSet, train: float, valid: float) -> "Split":
        """Shares of the sessions by their start, the rest is test; raises `ValueError` for an empty part."""
        if not (0 < train < 1 and 0 < valid < 1 and train + valid < 1):
            raise ValueError(
                f"train and valid must be shares and leave some to test, got {train:g} and {valid:g}"
            )
        if not len(cases):
            raise ValueError("there are no events to learn from")
        split = cls(*cases.split(*cases.boundaries(train, train + valid)))
        for name, part in (("train", split.train), ("valid", split.valid), ("test", split.test)):
            if not len(part):
                raise ValueError(f"no session lies within the {name} part: more events are needed")
        if len(np.unique(split.train.target)) < 2:
            raise ValueError("the train part knows one kind of next action only: more events are needed")
        return split


@dataclass(frozen=True, slots=True)
class Score:
    """One model: every figure per seed, and what it costs.

    `valid` are the same figures on the validation cases, which is where to choose between models; `slices`
    are some on kinds of test cases.
    """

    name: str
    test: dict[str, list[float]]
    valid: dict[str, list[float]]
    parameters: int
    us_per_prediction: float
    fit_s: float
    resampled: Resampled
    slices: dict[str, dict[str, float]]

    def mean(self, metric: str) -> float:
        """Mean over seeds on the test cases."""
        return float(np.mean(self.test[metric]))

    def sd(self, metric: str) -> float:
        """Standard deviation over seeds on the test cases; 0 for one seed."""
        values = self.test[metric]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    def versus(self, other: "Score") -> tuple[Interval, Interval]:
        """Difference to another model of log loss and of the purchase's PR-AUC."""
        return self.resampled.minus(other.resampled)


def compare(
    split: Split, contenders: Mapping[str, MakeContender], *, seeds: Sequence[int], progress: Progress
) -> list[Score]:
    """The scores of all contenders, in their order; those without a seed are fitted once."""
    fits = {name: list(seeds) if make().seeded else list(seeds[:1]) for name, make in contenders.items()}
    total, done = sum(len(own) for own in fits.values()), 0
    scores = []
    for name, make in contenders.items():
        scores.append(_score(name, make, split, fits[name], partial(_report, progress, name, done, total)))
        done += len(fits[name])
    progress("", done, total)
    return scores


def _report(progress: Progress, name: str, before: int, total: int, fit: int) -> None:
    progress(name, before + fit, total)


def _score(
    name: str, make: MakeContender, split: Split, seeds: Sequence[int], on_fit: Callable[[int], None]
) -> Score:
    predictions: list[Predictions] = []
    test: dict[str, list[float]] = {}
    valid: dict[str, list[float]] = {}
    fit_s = 0.0
    for index, seed in enumerate(seeds):
        on_fit(index)
        contender = make()
        began_s = time.perf_counter()
        contender.fit(split.train, split.valid, seed)
        fit_s += time.perf_counter() - began_s
        predictions.append(contender.predict(split.test))
        _append(test, measure(split.test, predictions[-1]))
        _append(valid, measure(split.valid, contender.predict(split.valid)))
    return Score(
        name,
        test,
        valid,
        contender.parameters,
        time_prediction(contender, split.test),
        fit_s / len(seeds),
        resample(split.test, predictions),
        measure_slices(split.test, predictions),
    )


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


def _append(values: dict[str, list[float]], figures: Mapping[str, float]) -> None:
    for metric, value in figures.items():
        values.setdefault(metric, []).append(value)
