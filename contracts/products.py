"""Products as facts of the shop: what the state keeps of each, in the partition of its id."""

from typing import Any, NamedTuple

import msgpack

from contracts.blob_formats import unknown_format
from contracts.currencies import MINOR_DIGITS
from contracts.shapes import require

FORMAT = 1
"""First element of the blob."""


class Amount(NamedTuple):
    """Money, in minor units of its currency."""

    minor: int
    currency: str


class Promotion(NamedTuple):
    """A lower price from one time up to, not including, another (epoch ms); None: without a bound."""

    price: Amount
    from_ms: int | None = None
    to_ms: int | None = None


class Product(NamedTuple):
    """What the shop says of a product; None is not known. `stock` is in units.

    Of `categories` and `regions` an empty tuple says that there are none.
    """

    title: str | None = None
    price: Amount | None = None
    promotion: Promotion | None = None
    image_url: str | None = None
    page_url: str | None = None
    brand: str | None = None
    categories: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    stock: int | None = None
    active: bool | None = None
    published_ms: int | None = None


NO_TIMES = (0,) * len(Product._fields)


class KnownProduct(NamedTuple):
    """A product and as of when each of its facts holds.

    `fact_ms` has for each field of `facts` the `updated_at` of the record that it comes from, 0 for none, and
    `updated_ms` is that of the newest record. `changed_ms` is when the facts last changed, by the timestamps
    of the topic's records; in a partition it never goes back.
    """

    facts: Product = Product()
    fact_ms: tuple[int, ...] = NO_TIMES
    updated_ms: int = 0
    changed_ms: int = 0


_pack = msgpack.Packer().pack


def pack_product(known: KnownProduct) -> bytes:
    """The blob of a product."""
    blob: bytes = _pack((FORMAT, *known))
    return blob


def unpack_product(blob: bytes) -> KnownProduct:
    """The product in a blob; raises `LaterFormat`, or some other exception for what no version wrote."""
    found, *parts = msgpack.unpackb(blob, use_list=False)
    if found != FORMAT:
        raise unknown_format("product", found, FORMAT)
    facts, fact_ms, updated_ms, changed_ms = parts
    product = Product(*facts)
    return KnownProduct(
        product._replace(price=_amount(product.price), promotion=_promotion(product.promotion)),
        fact_ms,
        updated_ms,
        changed_ms,
    )


def check_product(known: KnownProduct) -> None:
    """Raises `ValueError` for a product with anything in it that no version wrote."""
    require(known, KnownProduct)
    if len(known.fact_ms) != len(Product._fields):
        raise ValueError("a product has times of more or fewer facts than there are")
    promotion = known.facts.promotion
    for amount in (known.facts.price, None if promotion is None else promotion.price):
        if amount is not None and amount.currency not in MINOR_DIGITS:
            raise ValueError("a product has an amount without a currency")


def _amount(plain: Any) -> Amount | None:
    return None if plain is None else Amount(*plain)


def _promotion(plain: Any) -> Promotion | None:
    return None if plain is None else Promotion(Amount(*plain[0]), *plain[1:])
