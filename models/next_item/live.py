"""What live recommendations would have answered: their index, filled with all of training."""

from collections.abc import Sequence

import numpy as np

from contracts.sessions import VIEWED, StoredSession
from models.next_item.model import Scores
from models.next_item.sessions import UNKNOWN, Codes, Sessions
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from models.recommendation.request import RecommendationRequest, Step
from models.recommendation.sources.source import Asked
from models.recommendation.sources.visitor import DEFAULT, find_next

_LISTED = 1_000
"""Products that get a score; all others have none."""


class LiveIndex:
    """See `models.recommendation`. It is given no categories, and no times: only the order of sessions."""

    name = "live-index"

    def fit(self, sessions: Sessions) -> None:
        self._n_items = sessions.n_items
        self._index = make_index(max(1, sessions.n_sessions))
        for number, items in enumerate(sessions.each()):
            latest_first = dict.fromkeys(items[items != UNKNOWN][::-1].tolist())
            codes = tuple(map(str, reversed(latest_first)))
            self._index.put(str(number), 0, StoredSession(number, number, codes, (VIEWED,) * len(codes)))

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        scores = np.zeros((len(prefixes), self._n_items), dtype=np.float32)
        for row, prefix in zip(scores, prefixes, strict=True):
            steps = tuple(Step(str(code), VIEWED, 0) for code in prefix[prefix != UNKNOWN].tolist())
            request = RecommendationRequest(now_ms=0, prefix=steps)
            found = find_next(Asked(self._index, CatalogueView(), request, _LISTED), DEFAULT)
            for product_id, score in found:
                row[int(product_id)] = score
        return scores
