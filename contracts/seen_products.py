"""Products as events tell of them, for shops that tell nothing of their products otherwise."""

from typing import NamedTuple

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.shapes import fits


class SeenProduct(NamedTuple):
    """The newest that events told of each of these; None is not known."""

    category: str | None = None
    brand: str | None = None
    price_minor: int | None = None
    currency: str | None = None


def pack_seen(seen: SeenProduct) -> str:
    """The text of a product in its hash: a JSON array."""
    return orjson.dumps(seen[:]).decode()


def unpack_seen(text: str | bytes) -> SeenProduct:
    """The product in a text; raises `ValueError` for what no version wrote."""
    parts = orjson.loads(text)
    if not isinstance(parts, list) or len(parts) < len(SeenProduct._fields):
        raise ValueError("a seen product must be an array of its category, brand, price and currency")
    seen = SeenProduct(*parts[: len(SeenProduct._fields)])  # a later version may tell more
    if not fits(seen, SeenProduct) or (seen.price_minor is None) is not (seen.currency is None):
        raise ValueError("a seen product has parts of other types than a SeenProduct")
    if seen.currency is not None and seen.currency not in MINOR_DIGITS:
        raise ValueError("a seen product has a price without a currency")
    return seen
