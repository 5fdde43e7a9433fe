"""From what is known of a product to its answer."""

from collections.abc import Mapping

from api.resources.products import schemas
from contracts.products import Amount, KnownProduct, Promotion
from readers.answers import Money, to_money
from readers.intervals import maybe_datetime, to_datetime


def to_products(known: Mapping[str, KnownProduct]) -> list[schemas.ProductFacts]:
    """The answers, in the same order."""
    return [to_product(product_id, each) for product_id, each in known.items()]


def to_product(product_id: str, known: KnownProduct) -> schemas.ProductFacts:
    """The answer about one product."""
    facts = known.facts
    return schemas.ProductFacts(
        product_id=product_id,
        title=facts.title,
        price=_money(facts.price),
        promotion=_promotion(facts.promotion),
        image_url=facts.image_url,
        page_url=facts.page_url,
        brand=facts.brand,
        categories=None if facts.categories is None else list(facts.categories),
        regions=None if facts.regions is None else list(facts.regions),
        stock=facts.stock,
        active=facts.active,
        published_at=maybe_datetime(facts.published_ms),
        updated_at=to_datetime(known.updated_ms),
        changed_at=to_datetime(known.changed_ms),
    )


def _money(amount: Amount | None) -> Money | None:
    return None if amount is None else to_money({amount.currency: amount.minor})[0]


def _promotion(promotion: Promotion | None) -> schemas.ProductPromotion | None:
    if promotion is None:
        return None
    (price,) = to_money({promotion.price.currency: promotion.price.minor})
    return schemas.ProductPromotion(
        price=price, from_=maybe_datetime(promotion.from_ms), to=maybe_datetime(promotion.to_ms)
    )
