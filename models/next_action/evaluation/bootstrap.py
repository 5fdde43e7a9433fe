"""Whether two models differ: a paired bootstrap over sessions, since cases of one session are alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Floats, Predictions
from models.next_action.evaluation.metrics import action_losses, ranked_pr_auc, ranking

ROUNDS = 1_000


class Interval(NamedTuple):
    """A difference and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference is there."""
        return self.low > 0 or self.high < 0


class Resampled(NamedTuple):
    """One model's figures on the same resampled sessions: index 0 as it is, then `ROUNDS` times drawn."""

    log_loss: Floats
    pr_auc: Floats

    def minus(self, other: "Resampled") -> tuple[Interval, Interval]:
        """Difference to another model of log loss and of the purchase's PR-AUC."""
        return _interval(self.log_loss - other.log_loss), _interval(self.pr_auc - other.pr_auc)


def resample(
    cases: PrefixSet, by_seed: Sequence[Predictions], *, rounds: int = ROUNDS, seed: int = 0
) -> Resampled:
    """Figures of one model, the mean over its seeds, on the test set and on sessions drawn from it.

    The same `seed` draws the same sessions for every model.
    """
    _, session = np.unique(cases.session, return_inverse=True)
    n_sessions = int(session.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    size = np.bincount(session, minlength=n_sessions)
    loss = np.mean([action_losses(cases.target, one.action) for one in by_seed], axis=0)
    loss_of_session = np.bincount(session, weights=loss, minlength=n_sessions)
    rankings = [ranking(one.purchase) for one in by_seed]
    ranked = [(cases.will_buy[order], ends, session[order]) for order, ends in rankings]
    log_losses, areas = np.empty(rounds + 1), np.empty(rounds + 1)
    for i in range(rounds + 1):
        drawn = np.bincount(random.integers(n_sessions, size=n_sessions), minlength=n_sessions) if i else None
        weight = np.ones(n_sessions) if drawn is None else drawn.astype(np.float64)
        log_losses[i] = (weight * loss_of_session).sum() / (weight * size).sum()
        areas[i] = np.mean([ranked_pr_auc(bought, ends, weight[own]) for bought, ends, own in ranked])
    return Resampled(log_losses, areas)


def _interval(differences: Floats) -> Interval:
    drawn = differences[1:][np.isfinite(differences[1:])]
    if not len(drawn):
        return Interval(float(differences[0]), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(differences[0]), float(low), float(high))
