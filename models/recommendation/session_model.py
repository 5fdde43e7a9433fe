"""A trained model of sessions beside the recent sessions: both say of the same candidates what comes next."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.recommendation.recent_sessions import Scored
from models.recommendation.request import Step

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.float32]

WEIGHT = 0.5
"""Of the model, beside the recent sessions: see docs/next-item-model.md for others."""
_LEAST = 1e-6
"""Of both sides' last candidate: scores are positive, or a boost could not lift it."""
_LOWEST = -30.0
"""Logarithm of the odds of the last one, so that they stay positive."""
PAUSE_MS = 30 * 60_000
"""A longer pause begins a session, as it does in training."""


class CandidateRanker(Protocol):
    """Learnt from what visitors went on to in which order candidates stand."""

    def scores(self, rows: Rows) -> Rows:
        """(candidates,) of rows as `models.recommendation.candidates.describe` makes them.

        Of two candidates, the odds that the first comes next are the exponential of their difference.
        """
        ...


class SessionModel(Protocol):
    """Scores products as what comes next in a session; scores are comparable within one call."""

    @property
    def version(self) -> str: ...
    @property
    def ranker(self) -> CandidateRanker | None:
        """What orders the candidates with these scores among much else; None: their scores are blended."""
        ...

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> Floats | None:
        """(candidates,) after these products, the oldest first; NaN for products that it has not learnt.

        None if it has learnt none of `products`.
        """
        ...


def session_of(prefix: Sequence[Step]) -> list[str]:
    """The products of the session that the last step is in, with repeats, the oldest first."""
    session: list[Step] = []
    for step in reversed(prefix):
        if session and session[-1].at_ms - step.at_ms > PAUSE_MS:
            break
        session.append(step)
    return [step.product_id for step in reversed(session) if step.mask]


def blend(found: Sequence[Scored], scores: Floats) -> list[Scored]:
    """Candidates in a new order, by where each is between the lowest and the highest score of both sides.

    One that the model has not learnt keeps the place that the recent sessions gave it.
    """
    own = _places(np.array([score for _, score in found]))
    others = _places(scores)
    blended = _LEAST + own + WEIGHT * (np.where(np.isnan(others), own, others) - own)
    values: list[float] = blended.tolist()
    scored = [Scored(product_id, value) for (product_id, _), value in zip(found, values, strict=True)]
    return sorted(scored, key=lambda one: (-one.score, one.product_id))


def reorder(found: Sequence[Scored], values: Floats) -> list[Scored]:
    """The first candidates by what a ranker gave them (ranked,), the others behind them as they were.

    Scores are odds against the first one, so that a boost multiplies odds.
    """
    n = len(values)
    odds: list[float] = np.exp(np.maximum(values.astype(np.float64) - values.max(), _LOWEST)).tolist()
    ranked = [Scored(product_id, one) for (product_id, _), one in zip(found, odds, strict=False)]
    ranked.sort(key=lambda one: (-one.score, one.product_id))
    if len(found) > n:
        factor = ranked[-1].score / max(_LEAST, found[n].score)
        ranked += [Scored(product_id, factor * max(_LEAST, score)) for product_id, score in found[n:]]
    return ranked


def _places(scores: Floats) -> Floats:
    """From 0, the lowest, to 1; all 1 where they are equal. NaN stays."""
    known = scores[~np.isnan(scores)]
    if not len(known):
        return scores
    low, high = known.min(), known.max()
    return np.where(np.isnan(scores), scores, (scores - low) / (high - low) if high > low else 1.0)
