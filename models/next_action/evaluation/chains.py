"""Baselines that count: how often each action follows the last few."""

import numpy as np
import numpy.typing as npt

from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Floats, Predictions

_KINDS = 5
_NONE = _KINDS
"""Stands for the time before the session began."""


def last_ranks(cases: PrefixSet, order: int) -> npt.NDArray[np.int64]:
    """Ranks of the last actions (n, order), newest first; 5 where the session had not begun."""
    back = np.arange(order)
    rows = np.maximum(cases.last_row[:, None] - back, cases.first_row[:, None])
    return np.where(back < cases.length[:, None], cases.steps[rows, :_KINDS].argmax(axis=2), _NONE)


class MarkovChain:
    """Frequencies after the last `order` actions, smoothed by those after one action less.

    The shorter chain weighs as much as `prior_cases` cases. Order 0 always says the same: the shares of the
    training data.
    """

    def __init__(self, order: int, prior_cases: float = 10.0) -> None:
        self._order = order
        self._prior_cases = prior_cases
        self._actions: list[Floats] = []
        self._purchases: list[Floats] = []

    @property
    def parameters(self) -> int:
        """One per state and target, purchase included."""
        return sum(table.size for table in (*self._actions, *self._purchases))

    def fit(self, train: PrefixSet, valid: PrefixSet, seed: int) -> None:  # noqa: ARG002  # counts only
        """Count."""
        ranks = last_ranks(train, self._order)
        hits = np.eye(len(TARGETS))[train.target]
        bought = np.stack([~train.will_buy, train.will_buy], axis=1).astype(np.float64)
        self._actions = _tables(ranks, hits, self._prior_cases)
        self._purchases = _tables(ranks, bought, self._prior_cases)

    def predict(self, cases: PrefixSet) -> Predictions:
        """The frequencies of every case's state."""
        state = _states(last_ranks(cases, self._order))[-1]
        return Predictions(self._actions[-1][state], self._purchases[-1][state][:, 1])


def _states(ranks: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The number of the state for every order from 0 up."""
    states = [np.zeros(len(ranks), dtype=np.int64)]
    for column in ranks.T:
        states.append(states[-1] * (_KINDS + 1) + column)
    return states


def _tables(ranks: npt.NDArray[np.int64], hits: Floats, prior_cases: float) -> list[Floats]:
    """Distributions (states, classes) for every order from 0 up."""
    parent = np.full((1, hits.shape[1]), 1.0 / hits.shape[1])
    tables = []
    for order, state in enumerate(_states(ranks)):
        counts = np.zeros(((_KINDS + 1) ** order, hits.shape[1]))
        np.add.at(counts, state, hits)
        before = np.repeat(parent, _KINDS + 1, axis=0) if order else parent
        weight = prior_cases if order else 1.0
        parent = (counts + weight * before) / (counts.sum(axis=1, keepdims=True) + weight)
        tables.append(parent)
    return tables
