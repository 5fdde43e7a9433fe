"""What a ranker of candidates reads: all models that score items, and facts of items, fitted on one set."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy import sparse

from models.next_basket.basket2vec import Basket2Vec
from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.item_facts import ItemFacts
from models.next_basket.model import Scores, Training
from models.next_basket.neighbours import Dense
from models.next_basket.tifuknn import TifuKnn
from models.next_basket.transition import Transition
from models.next_basket.upcf import UpCf


class Network(Protocol):
    """A network over baskets: one more score of every item."""

    def fit(self, training: Training) -> None: ...
    def scores(self, histories: Baskets) -> Scores: ...


@dataclass(slots=True)
class Sources:
    """Models and facts of one set of known baskets.

    `with_others`: ask the models that compare a history with those of known users too, and vectors of items.
    """

    network: Network | None = None
    with_others: bool = True
    tifuknn: TifuKnn = field(default_factory=TifuKnn)
    upcf: UpCf = field(default_factory=lambda: UpCf(locality=3.0))
    transition: Transition = field(default_factory=Transition)
    vectors: Basket2Vec = field(default_factory=Basket2Vec)
    facts: ItemFacts | None = None

    def fit(self, known: Baskets) -> "Sources":
        """Learn from the known baskets alone."""
        training = Training(known)
        self.facts = ItemFacts.of(known)
        self.transition.fit(training)
        if self.with_others:
            for model in (self.tifuknn, self.upcf, self.vectors):
                model.fit(training)
        if self.network is not None:
            self.network.fit(training)
        return self


def values_at(matrix: sparse.csr_matrix | Dense, keys: Ints) -> Floats:
    """The values of a matrix at `row * columns + column`."""
    # Neighbours' rows have tens of thousands of values: a dense copy is faster than sorting them.
    dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    return np.asarray(dense.ravel()[keys], np.float64)


def best_of_rows(matrix: sparse.csr_matrix | Dense, k: int) -> Ints:
    """The keys, `row * columns + column`, of the `k` greatest values of each row that are not 0."""
    keys = []
    rows = sparse.csr_matrix(matrix)
    for row, (begin, end) in enumerate(pairwise(rows.indptr)):
        values, columns = rows.data[begin:end], rows.indices[begin:end]
        best = np.argpartition(-values, k)[:k] if len(values) > k else np.arange(len(values))
        keys.append(np.int64(row) * rows.shape[1] + columns[best])
    return np.concatenate(keys)
