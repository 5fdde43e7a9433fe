"""The nearest users of each history, as rows of weights over the users that are known."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.next_basket.baskets import Ints

Dense = npt.NDArray[np.float32]
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
        closeness = 2 * _products(part, known).T - squares
        closeness[users[begin : begin + _BATCH, None] == known_users] = -np.inf
        best = _best(closeness, k)
        kept.append(_rows(best, np.full(best.shape, 1 / max(1, best.shape[1])), known.shape[0]))
    return sparse.vstack(kept, format="csr")


def weigh_by_similarity(
    vectors: sparse.csr_matrix,
    users: Ints,
    known: sparse.csr_matrix,
    known_users: Ints,
    *,
    asymmetry: float,
    locality: float,
) -> Dense:
    """The weight of every known vector (known users, n): asymmetric cosine similarity ^ `locality`.

    `asymmetry` a: the dot product over |vector|^2a |known|^2(1 - a).
    """
    own = _squares(vectors) ** -asymmetry
    theirs = _squares(known) ** (asymmetry - 1)
    weights = _products(vectors, known)
    weights *= own.astype(np.float32)
    weights *= theirs.astype(np.float32)[:, None]
    np.power(weights, np.float32(locality), out=weights)
    weights[known_users[:, None] == users] = 0.0
    return weights


def _products(vectors: sparse.csr_matrix, known: sparse.csr_matrix) -> Dense:
    """Dot products (known users, n). Rows of a dense factor are added up far faster than sparse ones."""
    return np.asarray(known.astype(np.float32) @ vectors.T.toarray().astype(np.float32))


def _squares(vectors: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    return np.asarray(np.maximum(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel(), 1e-12))


def _best(closeness: npt.NDArray[np.float64], k: int) -> Ints:
    if k >= closeness.shape[1]:
        return np.tile(np.arange(closeness.shape[1]), (len(closeness), 1))
    return np.argpartition(-closeness, k, axis=1)[:, :k]


def _rows(columns: Ints, values: npt.NDArray[np.float64], width: int) -> sparse.csr_matrix:
    n, k = columns.shape
    return sparse.csr_matrix((values.ravel(), columns.ravel(), np.arange(n + 1) * k), shape=(n, width))
