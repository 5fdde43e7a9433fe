"""Products as recommendations need them: what the shop told of each, else what its events showed."""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from contracts.products import Amount, Product, Promotion

_WORD = re.compile(r"\w{3,}")


class SeenProduct(NamedTuple):
    """What the newest events showed of a product."""

    category: str | None = None
    brand: str | None = None
    price: Amount | None = None


class Facts(NamedTuple):
    """What is known of a product. `is_told`: the shop told of it, so that its stock and regions count."""

    title: str | None = None
    brand: str | None = None
    categories: tuple[str, ...] = ()
    price: Amount | None = None
    promotion: Promotion | None = None
    regions: tuple[str, ...] | None = None
    stock: int | None = None
    active: bool | None = None
    published_ms: int | None = None
    is_told: bool = False

    def price_at(self, now_ms: int) -> Amount | None:
        """The price of now, a promotion's while it lasts."""
        offer = self.promotion
        if offer is None or now_ms < (offer.from_ms or 0):
            return self.price
        return offer.price if offer.to_ms is None or now_ms < offer.to_ms else self.price

    def is_for_sale(self, region: str | None, now_ms: int) -> bool:
        """Whether it can be bought, as far as is known."""
        return (
            self.active is not False
            and self.stock != 0
            and (self.published_ms is None or self.published_ms <= now_ms)
            and (region is None or self.regions is None or region in self.regions)
        )

    @property
    def words(self) -> frozenset[str]:
        """Those of the title, of three letters or more, in lower case."""
        return frozenset(_WORD.findall(self.title.lower())) if self.title else frozenset()


UNKNOWN = Facts()


class CatalogueView:
    """Facts by product, and products by category, brand, title word and time of publication."""

    def __init__(self) -> None:
        self._told: dict[str, Product] = {}
        self._seen: dict[str, SeenProduct] = {}
        self._facts: dict[str, Facts] = {}
        self._categories: dict[str, dict[str, None]] = {}
        self._brands: dict[str, dict[str, None]] = {}
        self._words: dict[str, dict[str, None]] = {}
        self._published: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, product_id: str) -> bool:
        return product_id in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def tell(self, product_id: str, product: Product) -> None:
        """Take in what the shop says of a product, in place of what it said before."""
        self._told[product_id] = product
        self._join(product_id)

    def see(self, product_id: str, seen: SeenProduct) -> None:
        """Take in what events showed of a product, in place of what they showed before."""
        self._seen[product_id] = seen
        self._join(product_id)

    def remove(self, product_id: str) -> None:
        """The shop removed the product: what it told is void, what events showed stays."""
        if self._told.pop(product_id, None) is not None:
            self._join(product_id)

    def facts_of(self, product_id: str) -> Facts:
        """What is known of a product; `UNKNOWN` if nothing is."""
        return self._facts.get(product_id, UNKNOWN)

    def in_category(self, category: str) -> Iterable[str]:
        """Products of a category."""
        return self._categories.get(category, {})

    def of_brand(self, brand: str) -> Iterable[str]:
        """Products of a brand."""
        return self._brands.get(brand, {})

    def with_word(self, word: str) -> Iterable[str]:
        """Products with a word in their title; the word is in lower case."""
        return self._words.get(word, {})

    def n_with_word(self, word: str) -> int:
        """How many these are."""
        return len(self._words.get(word, ()))

    def published_before(self, now_ms: int) -> Iterator[tuple[str, int]]:
        """Products and when they were published (epoch ms), the newest first, none from after `now_ms`."""
        return ((product, at_ms) for at_ms, product in reversed(self._published) if at_ms <= now_ms)

    def _join(self, product_id: str) -> None:
        self._take_out(product_id)
        told, seen = self._told.get(product_id), self._seen.get(product_id)
        if told is None and seen is None:
            return
        seen = seen or SeenProduct()
        shown = (seen.category,) if seen.category else ()
        if told is None:
            facts = Facts(None, seen.brand, shown, seen.price)
        else:
            facts = Facts(
                told.title,
                told.brand or seen.brand,
                shown if told.categories is None else told.categories,
                told.price or seen.price,
                told.promotion,
                told.regions,
                told.stock,
                told.active,
                told.published_ms,
                is_told=True,
            )
        self._facts[product_id] = facts
        for places, names in self._places_of(facts):
            for name in names:
                places.setdefault(name, {})[product_id] = None
        if facts.published_ms is not None:
            insort(self._published, (facts.published_ms, product_id))

    def _take_out(self, product_id: str) -> None:
        facts = self._facts.pop(product_id, None)
        if facts is None:
            return
        for places, names in self._places_of(facts):
            for name in names:
                del places[name][product_id]
                if not places[name]:
                    del places[name]
        if facts.published_ms is not None:
            del self._published[bisect_left(self._published, (facts.published_ms, product_id))]

    def _places_of(self, facts: Facts) -> Iterator[tuple[dict[str, dict[str, None]], Iterable[str]]]:
        yield self._categories, set(facts.categories)
        yield self._brands, (facts.brand,) if facts.brand else ()
        yield self._words, facts.words
