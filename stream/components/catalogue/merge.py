"""What a record makes of a product: of each fact the newest word stands, in whatever order they arrive."""

from contracts.product_records import ProductUpdate
from contracts.products import NO_TIMES, KnownProduct, Product

_PLACES = {name: place for place, name in enumerate(Product._fields)}


def apply_update(known: KnownProduct | None, update: ProductUpdate) -> KnownProduct:
    """The product after a record. Of two that are as of the same moment the later in the topic stands."""
    known = known or KnownProduct()
    facts, fact_ms = list(known.facts), list(known.fact_ms)
    for name, value in update.facts.items():
        place = _PLACES[name]
        if update.updated_ms >= fact_ms[place]:
            facts[place], fact_ms[place] = value, update.updated_ms
    updated_ms = max(known.updated_ms, update.updated_ms)
    return known._replace(facts=Product._make(facts), fact_ms=tuple(fact_ms), updated_ms=updated_ms)


def remove(known: KnownProduct | None, removed_ms: int) -> KnownProduct | None:
    """The product after its removal at a moment: only later facts are left, None if there are none."""
    if known is None or known.updated_ms <= removed_ms:
        return None
    newer = [(fact, at_ms) for fact, at_ms in zip(known.facts, known.fact_ms, strict=True)]
    facts = [fact if at_ms > removed_ms else None for fact, at_ms in newer]
    fact_ms = [at_ms if at_ms > removed_ms else NO_TIMES[0] for _, at_ms in newer]
    return known._replace(facts=Product._make(facts), fact_ms=tuple(fact_ms))
