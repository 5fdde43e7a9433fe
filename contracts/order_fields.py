"""Purchases and refunds as they are written: the many ways to say the same, put straight."""

from collections.abc import Mapping
from typing import Any

from contracts.fields import InvalidEvent
from contracts.numbers import is_negative

NO_PRODUCT = ""
"""The `product_id` of an order or a refund that names no product."""
REFUND = "refund"


def plain_order(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a purchase or a refund, the other ways to say the same put straight.

    Without a product it is of an order as a whole, whose amount is `total` or `value`. A purchase of a
    negative amount or number is a refund of that much.
    """
    if fields.get("product_id") is None and not fields.get("items"):
        name = amount_field(fields)
        if name is not None or fields.get("order_id") is not None:
            amount = None if name is None else fields[name]
            kept = {key: value for key, value in fields.items() if key != name}
            fields = {**kept, "product_id": NO_PRODUCT, "price": amount}
    elif fields.get("product_id") == NO_PRODUCT:
        raise InvalidEvent("product_id.blank", "product_id must not be blank")
    negative = {name: fields[name] for name in ("price", "quantity") if is_negative(fields.get(name))}
    if not negative:
        return fields
    positive = {name: -v if type(v) is not str else v[1:] for name, v in negative.items()}
    return {**fields, **positive, "event_type": REFUND}


def amount_field(fields: Mapping[str, Any]) -> str | None:
    """The field that has the amount of an order as a whole, if there is one."""
    return next((name for name in ("price", "total", "value") if fields.get(name) is not None), None)
