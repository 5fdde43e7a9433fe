"""What a ranker of candidates reads: all models that score items, and facts of items, fitted on one set."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.next_basket.basket2vec import Basket2Vec
from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.frequency import shares_of_baskets
from models.next_basket.model import Scores, Training
from models.next_basket.pairs import pairs_of
from models.next_basket.tifuknn import TifuKnn
from models.next_basket.transition import Transition
from models.next_basket.upcf import UpCf

_PRIOR = 10.0
"""Buyers, or baskets, at the mean rate that are added to those of an item."""


class Network(Protocol):
    """A network over baskets: one more score of every item."""

    def fit(self, training: Training) -> None: ...
    def scores(self, histories: Baskets) -> Scores: ...


@dataclass(slots=True)
class ItemFacts:
    """Of every item (n_items,), from the known baskets."""

    popularity: Floats
    recent: Floats
    """The share of users' newest baskets with it."""
    buyers: Floats
    rebought: Floats
    """Of its buyers, the share that bought it in two baskets or more."""
    again: Floats
    """Of the baskets with it, the share whose user's next basket has it too."""
    gap: Floats
    """Mean baskets between two purchases by one user."""

    @classmethod
    def of(cls, known: Baskets) -> Self:
        """Count."""
        pairs = pairs_of(known)
        item = pairs.key % known.n_items
        n = known.n_items
        buyers = np.bincount(item, minlength=n).astype(np.float64)
        repeats = np.bincount(item, weights=pairs.purchases - 1, minlength=n)
        spans = np.bincount(item, weights=pairs.oldest_age - pairs.newest_age, minlength=n)
        return cls(
            popularity=shares_of_baskets(known),
            recent=shares_of_baskets(known, newest=1),
            buyers=buyers,
            rebought=_rates(np.bincount(item, weights=pairs.purchases > 1, minlength=n), buyers),
            again=_rates(*_followed(known)),
            gap=_rates(spans, repeats),
        )


@dataclass(slots=True)
class Sources:
    """Models and facts of one set of known baskets."""

    network: Network | None = None
    tifuknn: TifuKnn = field(default_factory=TifuKnn)
    upcf: UpCf = field(default_factory=lambda: UpCf(locality=3.0))
    transition: Transition = field(default_factory=Transition)
    vectors: Basket2Vec = field(default_factory=Basket2Vec)
    facts: ItemFacts | None = None

    def fit(self, known: Baskets) -> "Sources":
        """Learn from the known baskets alone."""
        training = Training(known)
        self.facts = ItemFacts.of(known)
        for model in (self.tifuknn, self.upcf, self.transition, self.vectors, self.network):
            if model is not None:
                model.fit(training)
        return self


def values_at(matrix: sparse.csr_matrix, keys: Ints) -> Floats:
    """The values of a matrix at `row * columns + column`."""
    # Neighbours' rows have tens of thousands of values: a dense copy is faster than sorting them.
    return np.asarray(matrix.toarray().ravel()[keys])


def best_of_rows(matrix: sparse.csr_matrix, k: int) -> Ints:
    """The keys, `row * columns + column`, of the `k` greatest values of each row that it has."""
    keys = []
    for row, (begin, end) in enumerate(pairwise(matrix.indptr)):
        values, columns = matrix.data[begin:end], matrix.indices[begin:end]
        best = np.argpartition(-values, k)[:k] if len(values) > k else np.arange(len(values))
        keys.append(np.int64(row) * matrix.shape[1] + columns[best])
    return np.concatenate(keys)


def _followed(known: Baskets) -> tuple[Floats, Floats]:
    """Of every item: the baskets whose next one has it too, and those that have a next one."""
    lines = sparse.csr_matrix(
        (np.ones(len(known.items)), known.items, known.starts), shape=(known.n_baskets, known.n_items)
    )
    has_next = np.flatnonzero(known.ages() > 0)
    before, after = lines[has_next], lines[has_next + 1]
    both = before.multiply(after).sum(axis=0)
    return np.asarray(both, np.float64).ravel(), np.asarray(before.sum(axis=0), np.float64).ravel()


def _rates(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    mean = parts.sum() / max(float(wholes.sum()), 1.0)
    return np.asarray((parts + _PRIOR * mean) / (wholes + _PRIOR))
