"""When a version is better or worse than another, by a bound that holds however often one looks.

The difference is judged by session: predictions within a session are not independent of one another.
"""

import math
from typing import NamedTuple

from models.lifecycle.pairs import PairSums

ALPHA = 0.05
"""Chance, over all looks together, that the interval ever misses the true mean."""
FEWEST_SESSIONS = 200
"""Sessions before the first look: the bound is an asymptotic one."""
MOST_SESSIONS = 20_000
"""A candidate that is not better by then will hardly be of use."""
DEADLINE_S = 7 * 86_400
"""The same for a shop with few visitors."""
MOST_LATE = 0.5
"""A version that answers more of the questions too late cannot be used."""
_TIGHTEST_AT = 1_000
"""Sessions at which the bound is to be as narrow as it can be."""


class Interval(NamedTuple):
    """The mean of a number over sessions, and the bounds that it lies between."""

    mean: float
    low: float
    high: float


def interval_of(n: int, total: float, square: float) -> Interval:
    """The mean of `n` numbers, given their sum and that of their squares, with a confidence sequence.

    It holds at all times at once (asymptotically), so one may look whenever one likes: Waudby-Smith, Arbour,
    Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence sequences, 2021.
    """
    if n < 2:
        return Interval(total / n if n else 0.0, -math.inf, math.inf)
    mean = total / n
    variance = max(0.0, square / n - mean**2) * n / (n - 1)
    rho_sq = (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))) / _TIGHTEST_AT
    scaled = n * rho_sq + 1
    width = math.sqrt(variance * 2 * scaled / (n**2 * rho_sq) * math.log(math.sqrt(scaled) / ALPHA))
    return Interval(mean, mean - width, mean + width)


class Verdict(NamedTuple):
    """What is known of the version beside the champion: whether it is better or worse, and why, in words.

    Neither: it is not known yet.
    """

    is_better: bool
    is_worse: bool
    reason: str


def judge(sums: PairSums, interval: Interval, *, waited_s: float) -> Verdict:
    """Whether the version beside the champion is better or worse, after so long."""
    n = sums.sessions
    if sums.asked >= FEWEST_SESSIONS and sums.late > MOST_LATE * sums.asked:
        return Verdict(False, True, f"it answered {sums.late:,} of {sums.asked:,} questions too late")
    if n < FEWEST_SESSIONS:
        if waited_s > DEADLINE_S:
            return Verdict(False, True, f"not enough sessions in time (needs {FEWEST_SESSIONS:,}, has {n:,})")
        return Verdict(False, False, f"not enough sessions yet (needs {FEWEST_SESSIONS:,}, has {n:,})")
    if interval.low > 0:
        return Verdict(False, True, f"worse in {n:,} sessions")
    constant = sums.constant_loss
    is_useful = constant is None or sums.mean_loss(sums.other) < constant
    if interval.high < 0 and is_useful:
        return Verdict(True, False, f"better in {n:,} sessions")
    if n >= MOST_SESSIONS or waited_s > DEADLINE_S:
        what = "not better" if is_useful else "not better than base rates"
        return Verdict(False, True, f"{what} in {n:,} sessions")
    return Verdict(False, False, f"no difference yet in {n:,} sessions")


def judge_probation(sums: PairSums, interval: Interval, *, waited_s: float) -> Verdict:
    """Whether the champion before (the other of the pair) is better than the one of now, after so long."""
    n, constant = sums.sessions, sums.constant_loss
    if n < FEWEST_SESSIONS:
        is_over = waited_s > DEADLINE_S
        return Verdict(False, is_over, f"not enough sessions yet (needs {FEWEST_SESSIONS:,}, has {n:,})")
    if interval.low > 0:
        return Verdict(False, True, f"better than the champion before it in {n:,} sessions")
    if interval.high < 0:
        return Verdict(True, False, f"worse than the champion before it in {n:,} sessions")
    loss = sums.mean_loss(sums.champion)
    if constant is not None and loss > constant and sums.mean_loss(sums.other) < loss:
        return Verdict(True, False, f"behind base rates in {n:,} sessions, and behind the champion before it")
    if n >= MOST_SESSIONS or waited_s > DEADLINE_S:
        return Verdict(False, True, f"not worse than the champion before it in {n:,} sessions")
    return Verdict(False, False, f"no difference yet in {n:,} sessions")


def figures_of(sums: PairSums, interval: Interval) -> dict[str, float]:
    """What a verdict was made from: log losses of an answer, and the difference in a session."""
    figures: dict[str, float] = {
        "sessions": sums.sessions,
        "answers": sums.answers,
        "asked": sums.asked,
        "late": sums.late,
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
    }
    if sums.answers:
        figures["champion"] = sums.mean_loss(sums.champion)
        figures["other"] = sums.mean_loss(sums.other)
    if sums.constant_loss is not None:
        figures["base_rates"] = sums.constant_loss
    return {name: round(value, 6) for name, value in figures.items() if math.isfinite(value)}
