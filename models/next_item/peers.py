"""Models of the library implicit, to compare ours with; needs the extra [peers]."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from models.next_item.item_neighbours import session_sets
from models.next_item.model import Scores
from models.next_item.prefixes import flatten
from models.next_item.sessions import Codes, Sessions

_ANSWERS = 100
"""Items asked for; it finds lists, not scores of all."""


class ImplicitModel:
    """A recommender of implicit to which sessions are users; a prefix is a new user, folded in."""

    def __init__(self, name: str, make: Callable[[], Any], **question: Any) -> None:
        """`question`: what `recommend` of this recommender needs to answer about new users."""
        self.name = name
        self._make, self._question = make, question

    def fit(self, sessions: Sessions) -> None:
        self._n_items = sessions.n_items
        with warnings.catch_warnings():
            # It warns of conversions that it makes itself, and of BLAS's threads.
            warnings.simplefilter("ignore")
            self._model = self._make()
            self._model.fit(sp.csr_matrix(session_sets(sessions)), show_progress=False)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        steps = flatten(prefixes).distinct()
        rows = sp.csr_matrix(steps.as_rows(np.ones(len(steps.row)), self._n_items))
        items, found = self._model.recommend(
            np.arange(steps.n),
            rows,
            N=min(_ANSWERS, self._n_items),
            filter_already_liked_items=False,
            **self._question,
        )
        scores = np.full((steps.n, self._n_items), -np.inf, dtype=np.float32)
        row, place = np.nonzero(items >= 0)
        scores[row, items[row, place]] = found[row, place]
        return scores


def implicit_cosine() -> ImplicitModel:
    """Cosine item-kNN over all items of the prefix."""
    from implicit.nearest_neighbours import CosineRecommender

    return ImplicitModel("implicit-cosine", lambda: CosineRecommender(K=100, num_threads=1))


def implicit_bm25() -> ImplicitModel:
    """BM25 item-kNN over all items of the prefix."""
    from implicit.nearest_neighbours import BM25Recommender

    return ImplicitModel("implicit-bm25", lambda: BM25Recommender(K=100, num_threads=1))


def implicit_als() -> ImplicitModel:
    """Factors by alternating least squares; a prefix gets its own by one step of them."""
    from implicit.als import AlternatingLeastSquares

    return ImplicitModel(
        "implicit-als",
        lambda: AlternatingLeastSquares(factors=64, random_state=0, num_threads=1),
        recalculate_user=True,
    )
