"""What alerts bring: visitors with an alert against those held out, who would have had one.

Visitors are put into the hold-out group by a hash of their id, before anything happens. Both groups' first
alerts of a kind are decided in the same way; only those of the others are published. So the difference of
what they buy within a day is the effect of the alerts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.quality import Quality, of_kind

SQUARES_OF_MINOR = 100
"""Squares of revenue are those of units of so many minor ones."""
Z = 1.959964
"""Of the standard normal distribution: intervals hold 95 %."""


class Arm(StrEnum):
    """A group of visitors who are compared."""

    TOLD = "told"
    """Their alerts are published."""
    HELD_OUT = "held_out"


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Of one group: alerts whose day is over, the share that bought within it, revenue per alert (minor)."""

    n: int
    bought: int
    share: float | None
    revenue_minor: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UpliftFigures:
    """The two groups of a kind, and what alerts add; None while one of them has fewer than two alerts."""

    told: ArmFigures
    held_out: ArmFigures
    bought: Difference | None
    """In the share that bought (Agresti and Caffo 2000)."""
    revenue_minor: Difference | None
    """In revenue per alert (Welch; a normal interval)."""


def arm_counter(name: str, kind: str, arm: Arm) -> str:
    """The name of a counter of one group."""
    return f"{of_kind(name, kind)}.{arm.value}"


def uplift_figures(counts: Mapping[str, int], kind: str) -> UpliftFigures:
    """Figures from the counters of one kind."""
    told, held_out = (_arm(counts, kind, arm) for arm in (Arm.TOLD, Arm.HELD_OUT))
    if min(told.n, held_out.n) < 2:
        return UpliftFigures(told, held_out, None, None)
    return UpliftFigures(told, held_out, _of_shares(told, held_out), _of_means(counts, kind, told, held_out))


def _arm(counts: Mapping[str, int], kind: str, arm: Arm) -> ArmFigures:
    n = counts.get(arm_counter(Quality.WATCHED, kind, arm), 0)
    bought = counts.get(arm_counter(Quality.WATCHED_BOUGHT, kind, arm), 0)
    revenue = counts.get(arm_counter(Quality.WATCHED_REVENUE, kind, arm), 0)
    return ArmFigures(n, bought, bought / n if n else None, revenue / n if n else None)


def _of_shares(told: ArmFigures, held_out: ArmFigures) -> Difference:
    """The interval of Agresti and Caffo: one success and one failure more in each group."""
    shares = [(arm.bought + 1) / (arm.n + 2) for arm in (told, held_out)]
    spread = math.sqrt(
        sum(share * (1 - share) / (arm.n + 2) for share, arm in zip(shares, (told, held_out), strict=True))
    )
    middle = shares[0] - shares[1]
    value = told.bought / told.n - held_out.bought / held_out.n
    return Difference(value, max(-1.0, middle - Z * spread), min(1.0, middle + Z * spread))


def _of_means(counts: Mapping[str, int], kind: str, told: ArmFigures, held_out: ArmFigures) -> Difference:
    variance = 0.0
    for arm, figures in ((Arm.TOLD, told), (Arm.HELD_OUT, held_out)):
        squares = counts.get(arm_counter(Quality.WATCHED_SQUARES, kind, arm), 0) * SQUARES_OF_MINOR**2
        mean = figures.revenue_minor or 0.0
        variance += max(0.0, squares / figures.n - mean**2) / (figures.n - 1)
    value = (told.revenue_minor or 0.0) - (held_out.revenue_minor or 0.0)
    return Difference(value, value - Z * math.sqrt(variance), value + Z * math.sqrt(variance))
