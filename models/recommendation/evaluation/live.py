"""What the API answers, in a replay: its index gets sessions when the stream writes them."""

import heapq

from contracts.carts import CART, PURCHASE
from contracts.products import Amount
from contracts.sessions import SESSIONS_PER_VISITOR, stored_session
from contracts.visitor import Action
from models.recommendation.catalogue import CatalogueView, SeenProduct
from models.recommendation.evaluation.replay import CUT, Past
from models.recommendation.index import MAX_SESSIONS, make_index
from models.recommendation.recommend import recommend
from models.recommendation.request import EQUAL_WEIGHTS, ActionWeights, RecommendationRequest, Rules, Scenario
from models.recommendation.session_model import SessionModel

PREFIX = 50
"""Newest actions that the API knows of a visitor."""
_RULES = Rules(exclude_in_cart=False)


class ReplayedShop:
    """The index and the catalogue of an API process, as the stream would have filled them by now."""

    def __init__(self, *, idle_ms: int, max_sessions: int = MAX_SESSIONS) -> None:
        self.index, self.catalogue = make_index(max_sessions), CatalogueView()
        self._idle_ms = idle_ms
        self._open: dict[str, tuple[int, list[Action]]] = {}
        self._ends: list[tuple[int, str]] = []

    def advance(self, now_ms: int) -> None:
        """Write the sessions that have ended by now."""
        while self._ends and self._ends[0][0] < now_ms:
            at_ms, visitor = heapq.heappop(self._ends)
            number, session = self._open.get(visitor, (0, []))
            if session and session[-1].at_ms + self._idle_ms == at_ms:
                self._put(visitor, number, session)
                del self._open[visitor]

    def learn(self, past: Past, action: Action) -> None:
        """Take in an action, which is the latest of `past` already."""
        self.advance(action.at_ms)
        if action.category is not None:
            price = None
            if action.price_minor is not None and action.currency is not None:
                price = Amount(action.price_minor, action.currency)
            self.catalogue.see(action.product_id, SeenProduct(action.category, action.brand, price))
        n = len(past.session)
        if n & (n - 1) == 0 or action.rank in (CART, PURCHASE):
            self._put(past.visitor, past.number, past.session)
        self._open[past.visitor] = past.number, past.session
        heapq.heappush(self._ends, (action.at_ms + self._idle_ms, past.visitor))

    def _put(self, visitor: str, number: int, session: list[Action]) -> None:
        stored = stored_session(session[0].at_ms, session)
        if len(stored.items) > 1 or stored.actions[0] > 1:
            self.index.put(visitor, number % SESSIONS_PER_VISITOR, stored)


class Live:
    """`for_you` as it is served; what is in the cart may come, since what comes may be its purchase."""

    def __init__(
        self,
        name: str,
        *,
        idle_ms: int,
        weights: ActionWeights = EQUAL_WEIGHTS,
        model: SessionModel | None = None,
    ) -> None:
        self.name = name
        self._weights = weights
        self._model = model
        self._shop = ReplayedShop(idle_ms=idle_ms)

    def best(self, past: Past, now_ms: int) -> list[str]:
        """See `Contender`."""
        return self.answer(past, now_ms, self._model)

    def answer(self, past: Past, now_ms: int, model: SessionModel | None) -> list[str]:
        """The products in order, ranked by this model too; raises what it raises."""
        self._shop.advance(now_ms)
        request = RecommendationRequest(
            scenario=Scenario.FOR_YOU,
            now_ms=now_ms,
            limit=CUT + 1,
            visitor_id=past.visitor,
            prefix=tuple(past.steps[-PREFIX:]),
            rules=_RULES,
            weights=self._weights,
        )
        found = recommend(self._shop.index, self._shop.catalogue, request, model)
        return [item.product_id for item in found.items]

    def learn(self, past: Past, action: Action) -> None:
        """See `Contender`."""
        self._shop.learn(past, action)


class LiveBeside:
    """The same with another model, over what `live` learns."""

    def __init__(self, name: str, live: Live, model: SessionModel) -> None:
        self.name = name
        self._live, self._model = live, model

    def best(self, past: Past, now_ms: int) -> list[str]:
        """See `Contender`; raises what the model raises."""
        return self._live.answer(past, now_ms, self._model)

    def learn(self, past: Past, action: Action) -> None:
        """Nothing: `live` does."""
