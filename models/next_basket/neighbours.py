"""The nearest users of each history, as rows of weights over the users that are known."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.next_basket.baskets import Ints

_BATCH = 512
"""Histories at once, so that the dense similarities stay small."""


def nearest_by_distance(
    vectors: sparse.csr_matrix, users: Ints, known: sparse.csr_matrix, known_users: Ints, k: int
) -> sparse.csr_matrix:
    """The `k` nearest known vectors by Euclidean distance, weighing 1 / k each (n, known users)."""
    squares = np.asarray(known.multiply(known).sum(axis=1)).ravel()
    kept = []
    for begin in range(0, vectors.shape[0], _BATCH):
        part = vectors[begin : begin + _BATCH]
        closeness = 2 * (part @ known.T).toarray() - squares
        closeness[users[begin : begin + _BATCH, None] == known_users] = -np.inf
        best = _best(closeness, k)
        kept.append(_rows(best, np.full(best.shape, 1 / max(1, best.shape[1])), known.shape[0]))
    return sparse.vstack(kept, format="csr")


def nearest_by_similarity(
    vectors: sparse.csr_matrix,
    users: Ints,
    known: sparse.csr_matrix,
    known_users: Ints,
    *,
    asymmetry: float,
    locality: float,
) -> sparse.csr_matrix:
    """Every known vector, weighing its asymmetric cosine similarity to the power of `locality`.

    `asymmetry` a: the dot product over |vector|^2a |known|^2(1 - a).
    """
    own = _squares(vectors) ** -asymmetry
    theirs = _squares(known) ** (asymmetry - 1)
    dots = sparse.csr_matrix(vectors @ known.T)
    row = np.repeat(np.arange(dots.shape[0]), np.diff(dots.indptr))
    weights = (dots.data * own[row] * theirs[dots.indices]) ** locality
    weights[users[row] == known_users[dots.indices]] = 0.0
    return sparse.csr_matrix((weights, dots.indices, dots.indptr), shape=dots.shape)


def _squares(vectors: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    return np.asarray(np.maximum(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel(), 1e-12))


def _best(closeness: npt.NDArray[np.float64], k: int) -> Ints:
    if k >= closeness.shape[1]:
        return np.tile(np.arange(closeness.shape[1]), (len(closeness), 1))
    return np.argpartition(-closeness, k, axis=1)[:, :k]


def _rows(columns: Ints, values: npt.NDArray[np.float64], width: int) -> sparse.csr_matrix:
    n, k = columns.shape
    return sparse.csr_matrix((values.ravel(), columns.ravel(), np.arange(n + 1) * k), shape=(n, width))
