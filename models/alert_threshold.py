"""An online threshold: which alerts to let through so that as many fire as their budget allows.

Every candidate has a rank: the higher, the more urgent. For each rank, sums say how often candidates have
lately risen to it, and so how many alerts would have fired at that threshold. The threshold is the lowest
rank at which the budget would have been enough, corrected by what was overspent or saved: a quantile with
integral control. Everything is a sum with forgetting, so partitions add up.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.alert_budgets import AlertBudget

RANKS = 128
"""Ranks are 1 to `RANKS`; 0 is that of a visitor who is no candidate."""
HALF_LIFE_MS = 3 * 3_600_000
"""What happened so long ago counts half (event time)."""
_TAU_MS = HALF_LIFE_MS / math.log(2)
_HOUR_MS = 3_600_000
_CORRECTION = 4.0
"""How strongly what was spent too much is saved again."""
_LOGIT_STEP = 0.125
_STEPS_PER_OCTAVE = 4

Floats = npt.NDArray[np.float64]


def rank_of_chance(chance: float) -> int:
    """The rank of an alert that warns of something of this probability: eighths of a logit."""
    clipped = min(max(chance, 1e-4), 1 - 1e-4)
    return _bounded(RANKS // 2 + math.floor(math.log(clipped / (1 - clipped)) / _LOGIT_STEP))


def rank_of_value(minor: int) -> int:
    """The rank of an alert about this much money (minor units): quarters of an octave."""
    return _bounded(1 + math.floor(math.log2(max(minor, 1)) * _STEPS_PER_OCTAVE))


class AlertUse(NamedTuple):
    """What was decided of a kind of alerts of late.

    `risen` (RANKS + 1,) counts candidates by the rank they rose to, once per rank on the way; `sessions` are
    those that began, `fired` the alerts. `fired_in_hour` are those of the hour of `hour_ms`, and not decayed.
    """

    risen: Floats
    sessions: float = 0.0
    fired: float = 0.0
    hour_ms: int = 0
    fired_in_hour: float = 0.0
    since_ms: int = 0
    at_ms: int = 0


def nothing_used() -> AlertUse:
    """Of a kind of which nothing is known yet."""
    return AlertUse(np.zeros(RANKS + 1))


def decay(use: AlertUse, at_ms: int) -> AlertUse:
    """The same at a later time; an earlier one changes nothing."""
    if at_ms <= use.at_ms:
        return use
    kept = math.exp((use.at_ms - at_ms) / _TAU_MS) if use.at_ms else 0.0
    hour_ms = at_ms - at_ms % _HOUR_MS
    return AlertUse(
        use.risen * kept,
        use.sessions * kept,
        use.fired * kept,
        hour_ms,
        use.fired_in_hour if hour_ms == use.hour_ms else 0.0,
        use.since_ms or at_ms,
        at_ms,
    )


def note_candidate(use: AlertUse, before: int, rank: int, at_ms: int, *, fired: bool) -> AlertUse:
    """The use after a candidate that had another rank, or none (0), before."""
    use = decay(use, at_ms)
    if rank > before:
        risen = use.risen.copy()
        risen[before + 1 : rank + 1] += 1
        use = use._replace(risen=risen)
    return use._replace(fired=use.fired + 1, fired_in_hour=use.fired_in_hour + 1) if fired else use


def note_sessions(use: AlertUse, sessions: int, at_ms: int) -> AlertUse:
    """The use after so many sessions have begun."""
    use = decay(use, at_ms)
    return use._replace(sessions=use.sessions + sessions)


def add_up(parts: Iterable[AlertUse]) -> AlertUse:
    """The use of all partitions together, as of the newest of them."""
    known = [use for use in parts if use.at_ms]
    at_ms = max((use.at_ms for use in known), default=0)
    total = nothing_used()._replace(at_ms=at_ms, hour_ms=at_ms - at_ms % _HOUR_MS)
    for use in known:
        use = decay(use, at_ms)
        total = total._replace(
            risen=total.risen + use.risen,
            sessions=total.sessions + use.sessions,
            fired=total.fired + use.fired,
            fired_in_hour=total.fired_in_hour + use.fired_in_hour,
            since_ms=min(total.since_ms or use.since_ms, use.since_ms),
        )
    return total


def allowed(use: AlertUse, budget: AlertBudget) -> float:
    """How many alerts the budget allows for the sums' time, forgotten as these are."""
    if budget.share:
        return budget.share * use.sessions
    window_ms = _TAU_MS * (1 - math.exp((use.since_ms - use.at_ms) / _TAU_MS))
    return budget.per_hour * window_ms / _HOUR_MS


def threshold_of(use: AlertUse, budget: AlertBudget) -> int:
    """The lowest rank that fires; `RANKS + 1` if none does."""
    if budget.per_hour and use.fired_in_hour >= budget.per_hour:
        return RANKS + 1
    most = allowed(use, budget)
    if use.fired >= most + 1:
        return RANKS + 1
    wanted = most + _CORRECTION * (most - use.fired)
    fitting = np.flatnonzero(use.risen[1:] <= wanted)
    lowest = int(fitting[0]) + 1 if len(fitting) else RANKS + 1
    # Of the rank at the border only some fit: as many as there is still something to spend on.
    return max(1, lowest - 1) if use.fired < most else lowest


def chance_of_rank(rank: int) -> float:
    """The lowest probability of this rank."""
    return 1 / (1 + math.exp((RANKS // 2 - rank) * _LOGIT_STEP))


def _bounded(rank: int) -> int:
    return min(max(rank, 1), RANKS)


def pack_risen(risen: Floats) -> Sequence[float]:
    """The counts as plain numbers, up to the highest rank that was reached."""
    reached = np.flatnonzero(risen)
    return [] if not len(reached) else risen[: reached[-1] + 1].round(4).tolist()


def unpack_risen(numbers: Sequence[float]) -> Floats:
    """The counts in what `pack_risen` gave; raises `ValueError` for more than there are ranks."""
    risen = np.zeros(RANKS + 1)
    risen[: len(numbers)] = numbers
    return risen
