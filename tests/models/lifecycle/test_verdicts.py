"""Verdicts about a version in the shadow hold however often one looks, and say what is not known yet."""

import math

import numpy as np
import pytest

from models.lifecycle.pairs import (
    ANSWERS,
    ASKED,
    DIFFERENCE,
    LATE,
    MICRO,
    SESSIONS,
    SQUARE,
    PairSums,
    loss_counter,
    outcome_counter,
    sums_of,
)  # fmt: skip
from models.lifecycle.verdicts import (
    ALPHA,
    DEADLINE_S,
    FEWEST_SESSIONS,
    MOST_SESSIONS,
    Verdict,
    figures_of,
    interval_of,
    judge,
    judge_probation,
)  # fmt: skip


def sums(n: int, mean: float, sd: float, *, champion: float = 0.6, late: int = 0, asked: int = 0) -> PairSums:
    """Sums of `n` sessions of one answer each; half of the outcomes are of either kind."""
    counts = {
        SESSIONS: n,
        ANSWERS: n,
        DIFFERENCE: round(n * mean * MICRO),
        SQUARE: round(n * (mean**2 + sd**2) * MICRO),
        ASKED: asked or n,
        LATE: late,
        loss_counter(0, is_champion=True): round(n * champion * MICRO),
        loss_counter(0, is_champion=False): round(n * (champion + mean) * MICRO),
        outcome_counter(0, 0): n // 2,
        outcome_counter(0, 1): n - n // 2,
    }
    return sums_of(counts)


def verdict(found: PairSums, waited_s: float = 0.0) -> Verdict:
    return judge(found, interval_of(found.sessions, found.difference, found.square), waited_s=waited_s)


def test_a_version_is_better_worse_or_not_known_yet() -> None:
    assert verdict(sums(FEWEST_SESSIONS - 1, -0.5, 0.1)).reason.startswith(
        "not enough sessions yet (needs 200, "
    )
    assert verdict(sums(1_000, -0.5, 1.0))[:2] == (True, False)
    assert verdict(sums(1_000, 0.5, 1.0))[:2] == (False, True)
    assert verdict(sums(1_000, -0.01, 1.0)) == (False, False, "no difference yet in 1,000 sessions")
    assert verdict(sums(MOST_SESSIONS, 0.0, 1.0)) == (False, True, "not better in 20,000 sessions")
    assert verdict(sums(300, 0.0, 1.0), DEADLINE_S + 1).is_worse
    assert verdict(sums(3, -9.0, 0.1), DEADLINE_S + 1).is_worse


def test_a_version_that_beats_a_bad_champion_must_beat_a_constant_too() -> None:
    useless = sums(2_000, -0.5, 1.0, champion=2.0)
    assert useless.constant_loss == pytest.approx(math.log(2))
    assert verdict(useless)[:2] == (False, False)
    assert verdict(useless, DEADLINE_S + 1) == (False, True, "not better than base rates in 2,000 sessions")


def test_a_promoted_version_is_confirmed_or_rolled_back() -> None:
    def found(n: int, mean: float, champion: float = 0.6) -> Verdict:
        known = sums(n, mean, 1.0, champion=champion)
        interval = interval_of(n, known.difference, known.square)
        return judge_probation(known, interval, waited_s=0.0)

    assert found(1_000, 0.5) == (False, True, "better than the champion before it in 1,000 sessions")
    assert found(1_000, -0.5) == (True, False, "worse than the champion before it in 1,000 sessions")
    assert found(1_000, 0.01)[:2] == (False, False)
    assert found(1_000, -0.01, champion=0.8).reason.startswith("behind base rates in 1,000 sessions")
    assert found(MOST_SESSIONS, 0.0).is_worse


def test_a_version_that_is_mostly_late_is_refused() -> None:
    found = verdict(sums(0, 0.0, 0.0, late=400, asked=500))
    assert found == (False, True, "it answered 400 of 500 questions too late")


def test_figures_are_numbers_that_json_has() -> None:
    found = figures_of(sums(0, 0.0, 0.0), interval_of(0, 0.0, 0.0))
    assert found["sessions"] == 0
    assert not {"low", "high", "champion"} & set(found)
    assert figures_of(sums(500, -0.5, 1.0), interval_of(500, -250.0, 625.0))["difference"] == -0.5


def test_who_looks_after_every_session_is_wrong_as_seldom_as_promised() -> None:
    """Differences without a mean, skewed as those of log losses: how often is zero ever missed?"""
    rng = np.random.default_rng(5)
    runs, sessions = 300, 3_000
    drawn = rng.exponential(1.0, (runs, sessions)) - 1.0
    total, square = drawn.cumsum(1), (drawn**2).cumsum(1)
    looks = range(FEWEST_SESSIONS, sessions + 1, 10)
    misses = 0
    for run in range(runs):
        found = (interval_of(n, total[run, n - 1], square[run, n - 1]) for n in looks)
        misses += any(each.low > 0 or each.high < 0 for each in found)
    assert misses / runs <= ALPHA
    seen = np.array(looks)
    fixed = np.abs(total[:, seen - 1]) > 1.96 * np.sqrt(seen)
    assert fixed.any(1).mean() > 3 * ALPHA, "an interval for one look is missed much more often"
