"""What live recommendations would have answered: their index, filled with all of training, and a network."""

from collections.abc import Sequence

import numpy as np

from contracts.sessions import VIEWED, StoredSession
from models.next_item.model import NextItemModel, Scores
from models.next_item.sessions import UNKNOWN, Codes, Sessions
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from models.recommendation.request import RecommendationRequest, Step
from models.recommendation.session_model import CandidateRanker, SessionModel
from models.recommendation.sources.source import Asked
from models.recommendation.sources.visitor import FOR_YOU

_LISTED = 1_000
"""Products that get a score; all others have none."""


class LiveIndex:
    """See `models.recommendation`. It is given no categories, and no times: only the order of sessions."""

    name = "live-index"
    _model: SessionModel | None = None

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
            asked = Asked(self._index, CatalogueView(), request, _LISTED, self._model)
            for product_id, score in FOR_YOU.find(asked):
                row[int(product_id)] = score
        return scores


class LiveNetwork(LiveIndex):
    """The same with a network beside it, as where the settings name its folder."""

    name = "live-network"
    _ranker: CandidateRanker | None = None

    def __init__(self, network: NextItemModel) -> None:
        self._network = network

    def fit(self, sessions: Sessions) -> None:
        super().fit(sessions)
        self._network.fit(sessions)
        self._model = _ByCode(self._network, self._ranker)


class LiveRanker(LiveNetwork):
    """The same with the ranker of the network's folder."""

    name = "live-ranker"

    def __init__(self, network: NextItemModel, ranker: CandidateRanker) -> None:
        super().__init__(network)
        self._ranker = ranker


class _ByCode:
    """A model of the next item as a `SessionModel` of products whose ids are item codes."""

    version = "by-code"

    def __init__(self, model: NextItemModel, ranker: CandidateRanker | None) -> None:
        self._model, self.ranker = model, ranker

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> Scores | None:
        if not products:
            return None
        (scores,) = self._model.scores([np.array(products, dtype=np.int32)])
        found: Scores = scores[np.array(candidates, dtype=np.int64)]
        return found
