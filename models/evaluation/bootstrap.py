"""Whether two models differ: a paired bootstrap over groups of cases that are alike, such as sessions."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ROUNDS = 1_000

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A difference and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference is there."""
        return self.low > 0 or self.high < 0


def draw_weights(n_groups: int, *, rounds: int = ROUNDS, seed: int = 0) -> Iterator[Floats]:
    """How often each group counts: once each at first, then in `rounds` samples of `n_groups` drawn anew.

    The same `seed` draws the same groups, so figures of several models are paired.
    """
    random = np.random.default_rng(seed)
    yield np.ones(n_groups)
    for _ in range(rounds):
        drawn = np.bincount(random.integers(n_groups, size=n_groups), minlength=n_groups)
        yield drawn.astype(np.float64)


def interval_of(differences: Floats) -> Interval:
    """The first difference, with an interval from the others; those that could not be told do not count."""
    drawn = differences[1:][np.isfinite(differences[1:])]
    if not len(drawn):
        return Interval(float(differences[0]), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(differences[0]), float(low), float(high))
