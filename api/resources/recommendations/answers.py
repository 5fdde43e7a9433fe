"""An answer as plain values in the shape of `schemas.Recommendations`, ready for JSON.

A model per product would take longer to build than all else in the answer.
"""

from collections.abc import Mapping
from typing import Any

from contracts.events import format_minor
from contracts.products import Amount
from models.recommendation.answer import Reason, Recommendation, RecommendedItem
from models.recommendation.catalogue import CatalogueView
from models.recommendation.reasons import say_why

Fields = dict[str, Any]
_SCORE_DIGITS = 6


def to_answer(answer: Recommendation, catalogue: CatalogueView, now_ms: int, about: Fields) -> Fields:
    """The fields of `about`, and those of the answer; prices are those of `now_ms`."""
    return {
        **about,
        "answered_by": answer.answered_by,
        "tried": answer.tried,
        "empty_because": answer.empty_because,
        "items": [_item(place, item, catalogue, now_ms) for place, item in enumerate(answer.items, start=1)],
    }


def _item(place: int, item: RecommendedItem, catalogue: CatalogueView, now_ms: int) -> Fields:
    facts = catalogue.facts_of(item.product_id)
    return {
        "product_id": item.product_id,
        "place": place,
        "score": round(item.score, _SCORE_DIGITS),
        "source": item.source,
        "reason": _reason(item.reason, catalogue),
        "title": facts.title,
        "price": _money(facts.price_at(now_ms)),
    }


def _reason(reason: Reason, catalogue: CatalogueView) -> Fields:
    return {
        "code": reason.code,
        "words": say_why(Reason(reason.code, _with_title(reason.params, catalogue))),
        "params": {name: str(value) for name, value in reason.params.items()},
    }


def _with_title(params: Mapping[str, str | int | float], catalogue: CatalogueView) -> Mapping[str, Any]:
    """The parameters, a product named by its title where that is known."""
    product_id = params.get("product")
    title = catalogue.facts_of(product_id).title if isinstance(product_id, str) else None
    return params if title is None else {**params, "product": title}


def _money(price: Amount | None) -> Fields | None:
    if price is None:
        return None
    return {
        "currency": price.currency,
        "amount_minor": price.minor,
        "amount": format_minor(price.minor, price.currency),
    }
