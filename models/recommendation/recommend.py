"""The answer to a request, from the recent sessions and the catalogue: a pure function."""

from models.recommendation.answer import (
    NO_PRODUCTS,
    RULED_OUT,
    Reason,
    Recommendation,
    RecommendedItem,
)
from models.recommendation.catalogue import CatalogueView
from models.recommendation.recent_sessions import RecentSessions
from models.recommendation.request import RecommendationRequest
from models.recommendation.rules import RuleBook, Variety
from models.recommendation.scenarios import CHAINS
from models.recommendation.session_model import SessionModel
from models.recommendation.sources.source import Asked, Source

PINNED = "pinned"
_CANDIDATES = 3
"""So many times the limit are asked for and 20 more, where no rule leaves many out."""
_MORE_CANDIDATES = 5_000
"""And where one does."""


def recommend(
    index: RecentSessions,
    catalogue: CatalogueView,
    request: RecommendationRequest,
    model: SessionModel | None = None,
) -> Recommendation:
    """The products to show, at most `request.limit`; none only if the rules allow no known product.

    Raises what the `model` raises.
    """
    rules, variety = RuleBook(catalogue, request), Variety(catalogue, request)
    is_strict = request.rules.categories or request.rules.price or request.rules.exclude_categories
    n = _MORE_CANDIDATES if is_strict else 20 + _CANDIDATES * request.limit
    asked = Asked(index, catalogue, request, n, model)
    items = [
        RecommendedItem(product_id, 0.0, PINNED, Reason("pinned"))
        for product_id in dict.fromkeys(request.rules.pins)
        if rules.allows(product_id) and variety.takes(product_id)
    ][: request.limit]
    tried: list[str] = []
    for source in CHAINS[request.scenario]:
        if len(items) == request.limit:
            break
        tried.append(source.name)
        items += _from(source, asked, rules, variety, items)
    answered_by = next((one.source for one in items if one.source != PINNED), PINNED if items else None)
    empty = None if items else RULED_OUT if index.n_items or len(catalogue) else NO_PRODUCTS
    return Recommendation(tuple(items), request.scenario, answered_by, tuple(tried), empty)


def _from(
    source: Source, asked: Asked, rules: RuleBook, variety: Variety, before: list[RecommendedItem]
) -> list[RecommendedItem]:
    taken = {one.product_id for one in before}
    room = asked.request.limit - len(before)
    chosen: dict[str, float] = {}
    for product_id, score in rules.order(source.find(asked), is_ordered=source.is_ordered):
        if len(chosen) == room:
            break
        if product_id not in taken and rules.allows(product_id) and variety.takes(product_id):
            chosen[product_id] = score
    if not chosen:
        return []
    reasons = source.explain(asked, list(chosen))
    return [
        RecommendedItem(product_id, score, source.name, reason)
        for (product_id, score), reason in zip(chosen.items(), reasons, strict=True)
    ]
