"""Running contenders on one split of one shop, over seeds."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from types import MappingProxyType

import numpy as np

from models.evaluation.bootstrap import Interval
from models.next_action.evaluation.contender import Row
from models.next_action.evaluation.fitting import Plan, RowFits, Split, blend_rows, fit_row
from models.next_action.evaluation.metrics import measure
from models.next_action.evaluation.resampling import Resampled, resample
from models.next_action.evaluation.slices import measure_slices

NO_BLENDS: Mapping[str, tuple[str, str]] = MappingProxyType({})
Progress = Callable[[str, int, int], None]
"""Called with the row that is being fitted, and how many of how many are done."""


@dataclass(frozen=True, slots=True)
class Score:
    """One model: every figure per seed, and how it was fitted.

    `valid` are the same figures on the validation cases, which is where to choose between models; `slices`
    are some on kinds of test cases.
    """

    name: str
    test: dict[str, list[float]]
    valid: dict[str, list[float]]
    fits: RowFits
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
    split: Split,
    rows: Mapping[str, Row],
    blends: Mapping[str, tuple[str, str]] = NO_BLENDS,
    *,
    plan: Plan,
    progress: Progress,
) -> list[Score]:
    """The scores of all rows in their order, then of `blends`, which name two rows each."""
    fits = _fit_rows(split, rows, plan)
    fitted: dict[str, RowFits] = {}
    for done, name in enumerate(rows):
        progress(name, done, len(rows))
        fitted[name] = next(fits)
    progress("", len(rows), len(rows))
    for name, (first, second) in blends.items():
        fitted[name] = blend_rows(fitted[first], fitted[second], split)
    return [_score(name, fits, split) for name, fits in fitted.items()]


def _fit_rows(split: Split, rows: Mapping[str, Row], plan: Plan) -> Iterator[RowFits]:
    parts = {True: split.with_rates(), False: split}
    arguments = rows.values(), [parts[row.reads_rates] for row in rows.values()], repeat(plan)
    if plan.jobs == 1:
        yield from map(fit_row, *arguments)
        return
    # Not forked: torch and its threads do not survive that.
    with ProcessPoolExecutor(plan.jobs, get_context("spawn")) as pool:
        yield from pool.map(fit_row, *arguments)


def _score(name: str, fits: RowFits, split: Split) -> Score:
    test: dict[str, list[float]] = {}
    valid: dict[str, list[float]] = {}
    for values, cases, by_seed in ((test, split.test, fits.test), (valid, split.valid, fits.valid)):
        for said in by_seed:
            for metric, value in measure(cases, said).items():
                values.setdefault(metric, []).append(value)
    return Score(
        name, test, valid, fits, resample(split.test, fits.test), measure_slices(split.test, fits.test)
    )
