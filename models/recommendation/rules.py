"""The shop's rules: which candidates may be shown, and in what order."""

import hashlib
from collections.abc import Iterable

from models.recommendation.catalogue import CatalogueView, Facts
from models.recommendation.request import RecommendationRequest, Scenario
from models.recommendation.sources.source import Candidate

ROTATION_SHARE = 0.2
"""A rotated score lies at most so far below its own."""
_REPEATED = frozenset({Scenario.BUY_AGAIN, Scenario.REPLENISH})
"""Scenarios about products that were bought, so those are not left out."""


class RuleBook:
    """The rules of one request, ready to be asked of many products."""

    def __init__(self, catalogue: CatalogueView, request: RecommendationRequest) -> None:
        self._catalogue, self._request, self._rules = catalogue, request, request.rules
        excluded = set(self._rules.exclude)
        if request.product_id is not None:
            excluded.add(request.product_id)
        if self._rules.exclude_in_cart:
            excluded.update(request.cart)
        if self._rules.exclude_bought and request.scenario not in _REPEATED:
            excluded |= request.bought
            excluded.update(line.product_id for order in request.orders for line in order.lines)
        if self._rules.exclude_seen and request.scenario not in _REPEATED:
            excluded.update(step.product_id for step in request.prefix)
        self._excluded = excluded
        self._boosts = {(boost.of, boost.value): boost.factor for boost in self._rules.boosts}

    def allows(self, product_id: str) -> bool:
        """Whether the product may be shown."""
        if product_id in self._excluded:
            return False
        rules, now_ms = self._rules, self._request.now_ms
        facts = self._catalogue.facts_of(product_id)
        if not facts.is_for_sale(rules.region, now_ms):
            return False
        if rules.categories and rules.categories.isdisjoint(facts.categories):
            return False
        if rules.exclude_categories and not rules.exclude_categories.isdisjoint(facts.categories):
            return False
        return rules.price is None or self._fits_price(facts)

    def order(self, candidates: Iterable[Candidate], *, is_ordered: bool = False) -> Iterable[Candidate]:
        """Candidates with boosts and rotation in their scores, the highest first.

        `is_ordered`: as in `Source`.
        """
        if is_ordered and not self._boosts and self._rules.rotation is None:
            return candidates
        scored = candidates
        if self._boosts:
            scored = [Candidate(one, score * self._boost_of(one)) for one, score in scored]
        if self._rules.rotation is not None:
            scored = [
                Candidate(one, score * (1.0 - ROTATION_SHARE * self._draw(one))) for one, score in scored
            ]
        return sorted(scored, key=lambda one: (-one.score, one.product_id))

    def _boost_of(self, product_id: str) -> float:
        facts, boosts = self._catalogue.facts_of(product_id), self._boosts
        factor = boosts.get(("product", product_id), 1.0)
        if facts.brand is not None:
            factor *= boosts.get(("brand", facts.brand), 1.0)
        for category in facts.categories:
            factor *= boosts.get(("category", category), 1.0)
        return factor

    def _draw(self, product_id: str) -> float:
        """A number from 0 to 1 that looks random, the same for the same seed and product."""
        content = f"{self._rules.rotation} {product_id}".encode()
        return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) / 2**64

    def _fits_price(self, facts: Facts) -> bool:
        price, wanted = facts.price_at(self._request.now_ms), self._rules.price
        if price is None or wanted is None or price.currency != wanted.currency:
            return False
        above = wanted.min_minor is None or price.minor >= wanted.min_minor
        return above and (wanted.max_minor is None or price.minor <= wanted.max_minor)


class Variety:
    """Counts what was chosen by category and brand, and says what would be too much of one."""

    def __init__(self, catalogue: CatalogueView, request: RecommendationRequest) -> None:
        self._catalogue, self._rules = catalogue, request.rules
        self._is_free = request.rules.most_per_category is None and request.rules.most_per_brand is None
        self._categories: dict[str, int] = {}
        self._brands: dict[str, int] = {}

    def takes(self, product_id: str) -> bool:
        """Whether the product fits beside those taken before; if so, it is taken."""
        if self._is_free:
            return True
        facts, rules = self._catalogue.facts_of(product_id), self._rules
        most = rules.most_per_category
        if most is not None and any(self._categories.get(one, 0) >= most for one in facts.categories):
            return False
        most = rules.most_per_brand
        if most is not None and facts.brand is not None and self._brands.get(facts.brand, 0) >= most:
            return False
        for category in facts.categories:
            self._categories[category] = self._categories.get(category, 0) + 1
        if facts.brand is not None:
            self._brands[facts.brand] = self._brands.get(facts.brand, 0) + 1
        return True
