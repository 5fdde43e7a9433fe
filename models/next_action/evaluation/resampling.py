"""Figures of one model on sessions drawn again: what tells whether two models differ."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.evaluation.bootstrap import ROUNDS, Interval, draw_weights, interval_of
from models.evaluation.metrics import class_losses, ranked_pr_auc, ranking
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Floats, Predictions


class Resampled(NamedTuple):
    """One model's figures on the same resampled sessions: index 0 as it is, then `ROUNDS` times drawn."""

    log_loss: Floats
    pr_auc: Floats

    def minus(self, other: "Resampled") -> tuple[Interval, Interval]:
        """Difference to another model of log loss and of the purchase's PR-AUC."""
        return interval_of(self.log_loss - other.log_loss), interval_of(self.pr_auc - other.pr_auc)


def resample(
    cases: PrefixSet, by_seed: Sequence[Predictions], *, rounds: int = ROUNDS, seed: int = 0
) -> Resampled:
    """Figures of one model, the mean over its seeds, on the test set and on sessions drawn from it.

    The same `seed` draws the same sessions for every model.
    """
    _, session = np.unique(cases.session, return_inverse=True)
    n_sessions = int(session.max(initial=-1)) + 1
    size = np.bincount(session, minlength=n_sessions)
    loss = np.mean([class_losses(cases.target, one.action) for one in by_seed], axis=0)
    loss_of_session = np.bincount(session, weights=loss, minlength=n_sessions)
    rankings = [ranking(one.purchase) for one in by_seed]
    ranked = [(cases.will_buy[order], ends, session[order]) for order, ends in rankings]
    figures = [
        (
            (weight * loss_of_session).sum() / (weight * size).sum(),
            np.mean([ranked_pr_auc(bought, ends, weight[own]) for bought, ends, own in ranked]),
        )
        for weight in draw_weights(n_sessions, rounds=rounds, seed=seed)
    ]
    log_losses, areas = np.array(figures, dtype=np.float64).T
    return Resampled(log_losses, areas)
