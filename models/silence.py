"""What silence says: a score made at an action, once nothing has followed it for a while."""

import math
from bisect import bisect_right
from typing import NamedTuple

from contracts.scores import SCALE, Score


class SilenceCurve(NamedTuple):
    """How long visitors who stay are silent between two actions of a session.

    `staying[i]` is the share of them silent for longer than `seconds[i]`, `buying[i]` of those who then buy
    (they are slower: forms and cards take time). Both fall from 1 at second 0.
    """

    seconds: tuple[int, ...]
    staying: tuple[float, ...]
    buying: tuple[float, ...]


DEFAULT_CURVE = SilenceCurve(
    seconds=(0, 15, 30, 60, 90, 120, 180, 300, 450, 600, 900, 1_200, 1_500, 1_800),
    staying=(1.0, 0.88, 0.775, 0.591, 0.471, 0.39, 0.285, 0.184, 0.123, 0.091, 0.052, 0.029, 0.012, 0.004),
    buying=(1.0, 0.922, 0.864, 0.753, 0.661, 0.588, 0.446, 0.263, 0.151, 0.098, 0.044, 0.02, 0.01, 0.003),
)
"""Gaps of RetailRocket's eight days (28,763 within 30 minutes; 817 with a cart before a purchase)."""


def hear_silence(score: Score, silence_ms: int, curve: SilenceCurve = DEFAULT_CURVE) -> Score:
    """The score after `silence_ms` without an action, by Bayes' rule; never a higher chance of a purchase.

    Who leaves is silent for sure, who stays is by now with the share the curve gives. No model is asked, so
    the answer depends on nothing but the score and the length of the silence.
    """
    *going_on, leave = score.probabilities
    staying = share_at(curve.seconds, curve.staying, silence_ms)
    buying = share_at(curve.seconds, curve.buying, silence_ms)
    stay = math.fsum(going_on)
    evidence = leave + stay * staying
    if evidence <= 0:
        return score
    purchase = min(score.purchase, score.purchase * buying / evidence)
    probabilities = (*(_rounded(p * staying / evidence) for p in going_on), _rounded(leave / evidence))
    return score._replace(probabilities=probabilities, purchase=_rounded(purchase))


def share_at(seconds: tuple[int, ...], shares: tuple[float, ...], silence_ms: int) -> float:
    """The share at a silence, on straight lines between the points of the curve; the last one beyond it."""
    silence_s = silence_ms / 1_000
    right = bisect_right(seconds, silence_s)
    if right == len(seconds):
        return shares[-1]
    left = right - 1
    part = (silence_s - seconds[left]) / (seconds[right] - seconds[left])
    return shares[left] + part * (shares[right] - shares[left])


def _rounded(probability: float) -> float:
    return round(probability * SCALE) / SCALE
