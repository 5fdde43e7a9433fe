"""Refunds of orders, as the visitor's state keeps them."""

from collections.abc import Mapping
from typing import NamedTuple

from contracts.visitor import Visitor

REFUNDS = "refunds"
"""Name in `Visitor.extra`: the newest refunds of orders, known and unknown ones, oldest first."""


class VisitorRefund(NamedTuple):
    """Money that went back of an order, which may be sent later.

    `event` is a digest of its event, in hexadecimal digits. `taken` is what it gives back by currency, as far
    as its order is known; it is in the visitor's total.
    """

    order_id: str
    at_ms: int
    event: str
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None
    taken: Mapping[str, int]


def refunds_of(visitor: Visitor) -> list[VisitorRefund]:
    """The refunds that a visitor's state keeps."""
    return [VisitorRefund(*refund) for refund in visitor.extra.get(REFUNDS, ())]
