"""How good models are with less data: the same test, the latest so many sessions before it to learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.next_action.cases import PrefixSet
from models.next_action.evaluation.comparison import Progress, compare
from models.next_action.evaluation.contender import Row
from models.next_action.evaluation.fitting import Plan, Split

FEWEST = 500
"""Sessions at the beginning of the curve; they double from point to point."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a model comes to that had `sessions` to learn and to be calibrated from, `buying` of which bought.

    Figures are means over seeds, on the same test cases at each point.
    """

    name: str
    sessions: int
    buying: int
    log_loss: float
    purchase_pr_auc: float


def doubling(n_sessions: int) -> list[int]:
    """`FEWEST` and its doubles below `n_sessions`, then all."""
    sizes = [FEWEST]
    while 2 * sizes[-1] < n_sessions:
        sizes.append(2 * sizes[-1])
    return [size for size in sizes if size < n_sessions] + [n_sessions]


def measure_curve(
    cases: PrefixSet,
    rows: Mapping[str, Row],
    *,
    train: float,
    valid: float,
    sizes: Sequence[int],
    plan: Plan,
    progress: Progress,
) -> list[Point]:
    """Points by size, then in the order of the rows; no sizes: `doubling`.

    Of the sessions before the test, `train` to `valid` is the ratio between what is learnt from and what
    stops and calibrates, at every size. Raises `ValueError` for a size that the data do not have.
    """
    whole = Split.of(cases, train, valid)
    test_from_ms = int(whole.test.start_ms.min())
    starts_ms = np.sort(cases.start_ms[(cases.length == 1) & (cases.start_ms < test_from_ms)])
    wanted = sorted(sizes) or doubling(len(starts_ms))
    if not 1 < wanted[0] <= wanted[-1] <= len(starts_ms):
        raise ValueError(
            f"sizes must be from 2 to {len(starts_ms)} sessions, got {wanted[0]} to {wanted[-1]}"
        )
    points = []
    for done, size in enumerate(wanted):
        progress(f"{size:,} sessions", done, len(wanted))
        latest = starts_ms[-size:]
        until_ms = int(latest[round(size * train / (train + valid))])
        past = cases.select(cases.start_ms >= latest[0])
        learnt, checked, _ = past.split(until_ms, test_from_ms)
        if not (len(learnt) and len(checked)):
            raise ValueError(f"of {size} sessions none is over in time to learn from or to calibrate on")
        split = Split(learnt, checked, whole.test)
        buying = len(np.unique(np.concatenate([part.session[part.will_buy] for part in (learnt, checked)])))
        for score in compare(split, rows, plan=plan, progress=lambda *_: None):
            figures = (score.mean("log_loss"), score.mean("purchase_pr_auc"))
            points.append(Point(score.name, size, buying, *figures))
    progress("", len(wanted), len(wanted))
    return points
