"""What the catalogue alone gives: products like those looked at, new ones, and any at all."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from models.recommendation.answer import Reason
from models.recommendation.catalogue import CatalogueView, Facts
from models.recommendation.sources.source import Asked, Candidate, Source

NEW_MS = 30 * 86_400_000
"""A product is new for so long."""
FADE_MS = 10 * 86_400_000.0
"""A new product counts exp(-age / scale)."""
MOST_ANCHORS = 3
"""Products that others may be like, the latest."""
MOST_OF_GROUP = 2_000
"""Products of one category, brand or word that are compared."""
CATEGORY, BRAND, WORD, PRICE = 1.0, 0.7, 1.5, 0.5
"""What is alike counts so much; words by the share that both titles have, weighted by rarity."""


def anchors_of(asked: Asked) -> list[str]:
    """The products that the answer is about, the most important first."""
    request = asked.request
    found = {} if request.product_id is None else {request.product_id: None}
    found |= dict.fromkeys(reversed(request.cart))
    found |= dict.fromkeys(step.product_id for step in reversed(request.prefix))
    return [one for one in found if one in asked.catalogue][:MOST_ANCHORS]


def likeness(catalogue: CatalogueView, one: Facts, other: Facts, now_ms: int) -> float:
    """How alike two products are, 0 if nothing of them is."""
    score = CATEGORY * (not set(one.categories).isdisjoint(other.categories))
    score += BRAND * (one.brand is not None and one.brand == other.brand)
    rarity = {word: 1.0 / math.log(2.0 + catalogue.n_with_word(word)) for word in one.words | other.words}
    if shared := one.words & other.words:
        score += WORD * sum(map(rarity.__getitem__, shared)) / sum(rarity.values())
    prices = one.price_at(now_ms), other.price_at(now_ms)
    if score and prices[0] and prices[1] and prices[0].currency == prices[1].currency:
        ratio = (prices[0].minor + 1) / (prices[1].minor + 1)
        score += PRICE * math.exp(-2.0 * abs(math.log(ratio)))
    return score


def _alike(asked: Asked) -> Iterator[tuple[str, str, float]]:
    """Products, which product each is like, and how much."""
    catalogue = asked.catalogue
    for anchor in anchors_of(asked):
        facts = catalogue.facts_of(anchor)
        groups = [catalogue.with_word(word) for word in facts.words]
        groups += [catalogue.of_brand(facts.brand)] if facts.brand else []
        groups += [catalogue.in_category(category) for category in facts.categories]
        near = dict.fromkeys(one for group in groups for one in islice(group, MOST_OF_GROUP))
        for product_id in near:
            if product_id != anchor:
                score = likeness(catalogue, facts, catalogue.facts_of(product_id), asked.request.now_ms)
                yield product_id, anchor, score


def _find_alike(asked: Asked) -> Iterable[Candidate]:
    best: dict[str, float] = {}
    for product_id, _, score in _alike(asked):
        best[product_id] = max(best.get(product_id, 0.0), score)
    return [Candidate(*pair) for pair in best.items()]


def _explain_alike(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return [_alike_reason(asked, product_id) for product_id in chosen]


def _alike_reason(asked: Asked, product_id: str) -> Reason:
    catalogue, facts = asked.catalogue, asked.catalogue.facts_of(product_id)
    anchors = [one for one in anchors_of(asked) if one != product_id]
    anchor = max(
        anchors,
        key=lambda one: likeness(catalogue, catalogue.facts_of(one), facts, asked.request.now_ms),
    )
    other = catalogue.facts_of(anchor)
    if facts.brand is not None and facts.brand == other.brand:
        return Reason("same_brand", {"brand": facts.brand, "product": anchor})
    for category in facts.categories:
        if category in other.categories:
            return Reason("same_category", {"category": category, "product": anchor})
    return Reason("like", {"product": anchor})


def _find_new(asked: Asked) -> Iterable[Candidate]:
    now_ms, catalogue = asked.request.now_ms, asked.catalogue
    anchors = [catalogue.facts_of(one) for one in anchors_of(asked)]
    found: list[Candidate] = []
    for product_id, at_ms in catalogue.published_before(now_ms):
        if now_ms - at_ms > NEW_MS or len(found) == 10 * asked.n:
            break
        facts = catalogue.facts_of(product_id)
        fit = max((likeness(catalogue, one, facts, now_ms) for one in anchors), default=0.0)
        found.append(Candidate(product_id, math.exp(-(now_ms - at_ms) / FADE_MS) * (1.0 + fit)))
    return found


def _explain_new(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    days = [
        (asked.request.now_ms - (asked.catalogue.facts_of(one).published_ms or 0)) // 86_400_000
        for one in chosen
    ]
    return [Reason("new", {"days": max(1, one)}) for one in days]


def _find_any(asked: Asked) -> Iterable[Candidate]:
    return [Candidate(one, 0.0) for one in asked.catalogue]


def _explain_any(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return [Reason("in_catalogue") for _ in chosen]


ALIKE = Source("alike", _find_alike, _explain_alike)
NEW = Source("new", _find_new, _explain_new)
CATALOGUE = Source("catalogue", _find_any, _explain_any)
