"""What the API answers, in a replay: its index gets sessions when the stream writes them."""

import heapq

from contracts.carts import CART, PURCHASE
from contracts.sessions import SESSIONS_PER_VISITOR, stored_session
from contracts.visitor import Action
from models.recommendation.catalogue import CatalogueView, SeenProduct
from models.recommendation.evaluation.replay import CUT, Past
from models.recommendation.index import make_index
from models.recommendation.recommend import recommend
from models.recommendation.request import EQUAL_WEIGHTS, ActionWeights, RecommendationRequest, Rules, Scenario

_PREFIX = 50
"""Newest actions that the API knows of a visitor."""
_RULES = Rules(exclude_in_cart=False)


class Live:
    """`for_you` as it is served; what is in the cart may come, since what comes may be its purchase."""

    def __init__(self, name: str, *, idle_ms: int, weights: ActionWeights = EQUAL_WEIGHTS) -> None:
        self.name = name
        self._weights = weights
        self._idle_ms = idle_ms
        self._index, self._catalogue = make_index(), CatalogueView()
        self._open: dict[str, tuple[int, list[Action]]] = {}
        self._ends: list[tuple[int, str]] = []

    def best(self, past: Past, now_ms: int) -> list[str]:
        """See `Contender`."""
        self._end_sessions(now_ms)
        request = RecommendationRequest(
            scenario=Scenario.FOR_YOU,
            now_ms=now_ms,
            limit=CUT + 1,
            visitor_id=past.visitor,
            prefix=tuple(past.steps[-_PREFIX:]),
            rules=_RULES,
            weights=self._weights,
        )
        return [item.product_id for item in recommend(self._index, self._catalogue, request).items]

    def learn(self, past: Past, action: Action) -> None:
        """See `Contender`."""
        self._end_sessions(action.at_ms)
        if action.category is not None:
            self._catalogue.see(action.product_id, SeenProduct(action.category, action.brand))
        n = len(past.session)
        if n & (n - 1) == 0 or action.rank in (CART, PURCHASE):
            self._put(past.visitor, past.number, past.session)
        self._open[past.visitor] = past.number, past.session
        heapq.heappush(self._ends, (action.at_ms + self._idle_ms, past.visitor))

    def _end_sessions(self, now_ms: int) -> None:
        while self._ends and self._ends[0][0] < now_ms:
            at_ms, visitor = heapq.heappop(self._ends)
            number, session = self._open.get(visitor, (0, []))
            if session and session[-1].at_ms + self._idle_ms == at_ms:
                self._put(visitor, number, session)
                del self._open[visitor]

    def _put(self, visitor: str, number: int, session: list[Action]) -> None:
        stored = stored_session(session[0].at_ms, session)
        if len(stored.items) > 1 or stored.actions[0] > 1:
            self._index.put(visitor, number % SESSIONS_PER_VISITOR, stored)
