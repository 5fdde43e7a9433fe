"""What many visitors turn to: now, in a category, or lately at all."""

from collections.abc import Iterable, Sequence
from itertools import islice

from contracts.events import EventType
from models.recommendation.answer import Reason
from models.recommendation.recent_sessions import Popular
from models.recommendation.sources.source import Asked, Candidate, Source
from models.trending import ACTION_WEIGHTS

TREND_HALF_LIFE_MS = 2 * 3_600_000.0
HALF_LIFE_MS = 3 * 86_400_000.0
WEIGHTS = (
    ACTION_WEIGHTS[EventType.VIEW],
    ACTION_WEIGHTS[EventType.CART],
    ACTION_WEIGHTS[EventType.PURCHASE],
)
MOST = 1_000
"""Popular products that are ordered; behind them all others stand by the number of their sessions."""
OLD_MS = 5_000
"""Popularity as of so long ago will do."""
MOST_OF_CATEGORY = 5_000
"""Products of a category that are looked at."""
_BEHIND = 1e-6
"""What a session counts where its product is none of the popular ones."""


def _popular(asked: Asked, half_life_ms: float) -> list[Popular]:
    return asked.index.popular(WEIGHTS, half_life_ms, now_ms=asked.request.now_ms, limit=MOST, old_ms=OLD_MS)


def _find_trending(asked: Asked) -> Iterable[Candidate]:
    return (Candidate(one.product_id, one.score) for one in _popular(asked, TREND_HALF_LIFE_MS))


def _find_popular(asked: Asked) -> Iterable[Candidate]:
    return (Candidate(one.product_id, one.score) for one in _popular(asked, HALF_LIFE_MS))


def categories_of(asked: Asked) -> list[str]:
    """The categories of the answer: those asked for, else the page's, the cart's, the visitor's."""
    request, facts_of = asked.request, asked.catalogue.facts_of
    if request.rules.categories:
        return sorted(request.rules.categories)
    anchors = [request.product_id] if request.product_id is not None else []
    anchors += reversed(request.cart)
    anchors += [step.product_id for step in reversed(request.prefix)]
    for product_id in anchors:
        if facts_of(product_id).categories:
            return list(facts_of(product_id).categories)
    return []


def _find_in_category(asked: Asked) -> Iterable[Candidate]:
    facts_of, wanted = asked.catalogue.facts_of, frozenset(categories_of(asked))
    if not wanted:
        return []
    found = {
        one.product_id: one.score
        for one in _popular(asked, HALF_LIFE_MS)
        if not wanted.isdisjoint(facts_of(one.product_id).categories)
    }
    sessions_with = asked.index.sessions_with
    for category in wanted:
        for product_id in islice(asked.catalogue.in_category(category), MOST_OF_CATEGORY):
            if product_id not in found:
                found[product_id] = _BEHIND * sessions_with(product_id)
    return [Candidate(*pair) for pair in found.items()]


def _explain_trending(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return _explain("trending", _popular(asked, TREND_HALF_LIFE_MS), chosen)


def _explain_popular(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return _explain("popular", _popular(asked, HALF_LIFE_MS), chosen)


def _explain(code: str, popular: Sequence[Popular], chosen: Sequence[str]) -> list[Reason]:
    visits = _visits_of(popular, chosen)
    return [Reason(code, {"visits": visits[product_id]}) for product_id in chosen]


def _visits_of(popular: Sequence[Popular], chosen: Sequence[str]) -> dict[str, int]:
    """Those of the products that are popular: mostly the first ones, so that not all are looked at."""
    wanted = set(chosen)
    visits: dict[str, int] = {}
    for one in popular:
        if one.product_id in wanted:
            visits[one.product_id] = one.visits
            if len(visits) == len(wanted):
                break
    return visits


def _explain_in_category(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    visits = _visits_of(_popular(asked, HALF_LIFE_MS), chosen)
    wanted = categories_of(asked)
    reasons = []
    for product_id in chosen:
        own = asked.catalogue.facts_of(product_id).categories
        category = next(one for one in wanted if one in own)
        if product_id in visits:
            why = Reason("popular_in_category", {"category": category, "visits": visits[product_id]})
            reasons.append(why)
        else:
            reasons.append(Reason("in_category", {"category": category}))
    return reasons


TRENDING = Source("trending", _find_trending, _explain_trending, is_ordered=True)
POPULAR = Source("popular", _find_popular, _explain_popular, is_ordered=True)
POPULAR_IN_CATEGORY = Source("popular_in_category", _find_in_category, _explain_in_category)
