"""Basket2Vec: items as vectors by the baskets they share, from the PMI matrix (Levy and Goldberg 2014)."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from models.next_basket.baskets import Baskets
from models.next_basket.model import Scores, Training

Vectors = npt.NDArray[np.float64]
_ENOUGH = 1e-12


@dataclass(slots=True)
class Basket2Vec:
    """Items near what the user bought: cosine of the item and the mean of the history, newer baskets first.

    Factorises the positive pointwise mutual information of items in one basket, which is what item2vec
    approximates. `shift`: log of item2vec's number of negatives.
    """

    size: int = 64
    basket_decay: float = 0.7
    shift: float = 0.0
    seed: int = 0
    name: str = "Basket2Vec"
    _vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0)))

    def fit(self, training: Training) -> None:
        """Factorise."""
        known = training.known
        lines = sparse.csr_matrix(
            (np.ones(len(known.items)), known.items, known.starts), shape=(known.n_baskets, known.n_items)
        )
        pairs = sparse.csr_matrix(lines.T @ lines)
        pairs.setdiag(0)
        pairs.eliminate_zeros()
        self._vectors = _factors(_ppmi(pairs, self.shift), self.size, self.seed)

    def scores(self, histories: Baskets) -> Scores:
        """Cosines."""
        return np.asarray(self.tastes(histories) @ self._vectors.T, np.float32)

    def tastes(self, histories: Baskets) -> Vectors:
        """The direction of each history (users, size)."""
        weights = self.basket_decay ** histories.ages().astype(np.float64) / histories.sizes()
        return unit(histories.weighted(weights) @ self._vectors)

    @property
    def vectors(self) -> Vectors:
        """Of every item (n_items, size), of length 1; 0 for those that shared no basket."""
        return self._vectors


def _ppmi(pairs: sparse.csr_matrix, shift: float) -> sparse.csr_matrix:
    counts = np.asarray(pairs.sum(axis=1)).ravel()
    row = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    pmi = np.log(pairs.data * counts.sum() / (counts[row] * counts[pairs.indices])) - shift
    positive = sparse.csr_matrix((np.maximum(pmi, 0.0), pairs.indices, pairs.indptr), shape=pairs.shape)
    positive.eliminate_zeros()
    return positive


def _factors(matrix: sparse.csr_matrix, size: int, seed: int) -> Vectors:
    size = min(size, matrix.shape[0] - 1)
    begin = np.random.default_rng(seed).standard_normal(matrix.shape[0])
    left, values, _ = svds(matrix, k=size, v0=begin)
    return unit(left * np.sqrt(np.maximum(values, 0.0)))


def unit(vectors: Vectors) -> Vectors:
    """The same directions, of length 1; 0 stays 0."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _ENOUGH))
