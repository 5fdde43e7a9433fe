"""An answer as plain values in the shape of `schemas.Recommendations`, ready for JSON.

A model per product would take longer to build than all else in the answer.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from contracts.events import format_minor
from contracts.products import Amount
from models.recommendation.answer import Reason, Recommendation, RecommendedItem
from models.recommendation.catalogue import CatalogueView
from models.recommendation.reasons import say_why

Fields = dict[str, Any]
_SCORE_DIGITS = 6
_KEPT = 65_536
"""Prices and sentences that are kept: most products and reasons come again."""


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
    product_id = reason.params.get("product")
    title = catalogue.facts_of(product_id).title if isinstance(product_id, str) else None
    return _say(reason.code, tuple(reason.params.items()), title)


@lru_cache(_KEPT)
def _say(code: str, params: tuple[tuple[str, str | int | float], ...], title: str | None) -> Fields:
    """The reason as it is shown; a product is named by its title where that is known. Not to be changed."""
    known: Mapping[str, str | int | float] = dict(params)
    words = say_why(Reason(code, known if title is None else {**known, "product": title}))
    return {"code": code, "words": words, "params": {name: str(value) for name, value in params}}


@lru_cache(_KEPT)
def _money(price: Amount | None) -> Fields | None:
    """The price as it is shown. Not to be changed."""
    if price is None:
        return None
    return {
        "currency": price.currency,
        "amount_minor": price.minor,
        "amount": format_minor(price.minor, price.currency),
    }
