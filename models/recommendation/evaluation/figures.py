"""What the ranks of a replay add up to: hit rates and reciprocal ranks by action, with intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.evaluation.bootstrap import Interval, draw_weights, interval_of
from models.recommendation.evaluation.replay import KINDS, MISSED, Outcome

ROUNDS = 500

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Line(NamedTuple):
    """One contender. Values are shares of 1; intervals are of the difference from the reference."""

    name: str
    hit_rate: float
    mrr: float
    hit_rate_over: Interval | None
    mrr_over: Interval | None


class Block(NamedTuple):
    """The contenders on one kind of cases."""

    mode: str
    kind: str
    n_cases: int
    lines: tuple[Line, ...]


MODES = ("repeats kept", "repeats removed")
"""Kept: as it is. Removed: without cases whose target is the latest product, which stands in no list."""


def measure(outcome: Outcome, reference: str) -> list[Block]:
    """Hit rate and MRR at the cut of every contender, by mode, over all cases and by action.

    Intervals are over sessions drawn anew, of the difference of `reference` from each of the others.
    """
    everything = np.ones(len(outcome.kind), dtype=bool)
    blocks = []
    for mode, ranks, kept in zip(
        MODES, (outcome.rank, outcome.without_latest), (everything, ~outcome.repeats), strict=True
    ):
        for kind in ("all", *KINDS):
            chosen = kept if kind == "all" else kept & (outcome.kind == KINDS.index(kind))
            if chosen.any():
                lines = _lines(outcome.names, ranks[:, chosen], outcome.session[chosen], reference)
                blocks.append(Block(mode, kind, int(chosen.sum()), lines))
    return blocks


def _lines(
    names: Sequence[str], ranks: npt.NDArray[np.int64], session: npt.NDArray[np.int64], reference: str
) -> tuple[Line, ...]:
    hits = (ranks != MISSED).astype(np.float64)
    gains = np.where(hits > 0, 1.0 / np.maximum(ranks, 1), 0.0)
    _, group = np.unique(session, return_inverse=True)
    n_groups = int(group.max()) + 1
    sums = np.stack(
        [np.bincount(group, weights=row, minlength=n_groups) for row in (np.ones(len(group)), *hits, *gains)]
    )
    drawn = np.array([sums @ weight for weight in draw_weights(n_groups, rounds=ROUNDS)])
    means = drawn[:, 1:] / drawn[:, :1]
    n, own = len(names), names.index(reference)
    return tuple(
        Line(
            name,
            float(means[0, place]),
            float(means[0, n + place]),
            None if place == own else interval_of(means[:, own] - means[:, place]),
            None if place == own else interval_of(means[:, n + own] - means[:, n + place]),
        )
        for place, name in enumerate(names)
    )
