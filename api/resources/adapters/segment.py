"""Segment's HTTP API: `track` calls of its ecommerce spec, alone or in a batch."""

import re
from decimal import Decimal
from typing import Any

from api.resources.adapters.translation import (
    ORDER_TYPES,
    Translation,
    list_of,
    object_of,
    present,
    valid_time,
    who,
)

_TYPES = {
    "productviewed": "view",
    "viewedproduct": "view",
    "productadded": "cart",
    "addedproduct": "cart",
    "wishlistproductaddedtocart": "cart",
    "productremoved": "remove_from_cart",
    "removedproduct": "remove_from_cart",
    "productaddedtowishlist": "favorite",
    "ordercompleted": "purchase",
    "completedorder": "purchase",
    "orderrefunded": "refund",
    "refundedorder": "refund",
}
"""Our types by Segment's names (version 2 of the spec and its aliases) in lower case without separators: its
own libraries take `product_viewed` for `Product Viewed` too."""
_SEPARATORS = str.maketrans("", "", " _-")
_ORDER_EXTRAS = ("coupon", "tax", "shipping", "discount")
_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_HUGE = 1e12
SOURCE = "segment"
_UNPLAIN = re.compile(r"[^\w.@-]", re.ASCII)


def translate_identity(call: dict[str, Any], call_type: str) -> Translation:
    """One `identify` or `alias` call, the body of `/v1/identify` and `/v1/alias`."""
    event = _to_statement(call, call_type)
    return _translation([] if event is None else [(0, event)], [call], call.get("sentAt"))


def translate_call(call: dict[str, Any]) -> Translation:
    """One `track` call, the body of `/v1/track`."""
    event = _to_event(call)
    return _translation([] if event is None else [(0, event)], [call], call.get("sentAt"))


def translate_batch(calls: list[Any], sent_at: Any) -> Translation:
    """The calls of `/v1/batch`, each with its `type`; `sent_at` is the batch's `sentAt`."""
    found: list[tuple[int, Any]] = []
    for place, call in enumerate(calls):
        if type(call) is not dict:
            found.append((place, call))  # for the intake to refuse
        elif (event := _to_any(call)) is not None:
            found.append((place, event))
    return _translation(found, calls, sent_at)


def _translation(found: list[tuple[int, Any]], calls: list[Any], sent_at: Any) -> Translation:
    places, events = [place for place, _ in found], [event for _, event in found]
    return Translation(events, places, len(calls) - len(found), valid_time(sent_at), _source_of(calls))


def _source_of(calls: list[Any]) -> str:
    """Segment, and which of its libraries and versions sent the first call that says so."""
    for call in calls:
        library = object_of(object_of(object_of(call).get("context")).get("library"))
        if library:
            said = [_UNPLAIN.sub("", str(library.get(name, "?")))[:40] for name in ("name", "version")]
            return f"{SOURCE}:{'/'.join(said)}"
    return SOURCE


def _to_any(call: dict[str, Any]) -> dict[str, Any] | None:
    call_type = call.get("type")
    if call_type == "track":
        return _to_event(call)
    return _to_statement(call, call_type) if call_type in ("identify", "alias") else None


def _to_statement(call: dict[str, Any], call_type: object) -> dict[str, Any] | None:
    """Who is logged in on a device, as `identify` and `alias` say it; None if no device is named."""
    device_id = call.get("previousId" if call_type == "alias" else "anonymousId")
    ids = who(device_id, call.get("userId"), is_told="userId" in call)
    if "anonymous_id" not in ids or "user_id" not in ids:
        return None
    said = {
        "event_id": call.get("messageId"),
        "event_type": "identify",
        "event_time": call.get("timestamp") or call.get("originalTimestamp"),
    }
    if _denies(object_of(call.get("context")).get("consent")):
        return None
    return present(said) | ids


def _to_event(call: dict[str, Any]) -> dict[str, Any] | None:
    name = call.get("event")
    event_type = _TYPES.get(name.translate(_SEPARATORS).lower()) if type(name) is str else None
    if event_type is None:
        return None
    properties, context = object_of(call.get("properties")), object_of(call.get("context"))
    event = {
        "event_id": call.get("messageId"),
        "event_type": event_type,
        "event_time": call.get("timestamp") or call.get("originalTimestamp"),
        "session_id": context.get("sessionId"),
        "currency": properties.get("currency"),
    }
    event |= _order_of(properties) if event_type in ORDER_TYPES else _product_of(properties)
    if _denies(context.get("consent")):
        event["consent"] = False
    ids = who(call.get("anonymousId"), call.get("userId"), is_told="userId" in call)
    return present(event) | ids


def _denies(consent: object) -> bool:
    """Whether the visitor consented to nothing: categories have names of the shop's own."""
    categories = object_of(object_of(consent).get("categoryPreferences"))
    return consent is False or consent == "denied" or (bool(categories) and not any(categories.values()))


def _product_of(product: dict[str, Any]) -> dict[str, Any]:
    get = product.get
    return {
        "product_id": get("product_id") or get("id") or get("sku"),
        "price": get("price"),
        "quantity": get("quantity"),
        "category": get("category"),
        "brand": get("brand"),
        "name": get("name"),
        "variant": get("variant"),
    }


def _order_of(properties: dict[str, Any]) -> dict[str, Any]:
    products = list_of(properties.get("products"))
    if not products and _product_of(properties)["product_id"]:  # an order of one product, told flat
        products = [properties]
    if type(products) is list:
        products = [present(_product_of(p)) if type(p) is dict else p for p in products]
    return {
        "order_id": properties.get("order_id"),
        "items": products,
        "total": _goods_total(properties),
        **{name: properties.get(name) for name in _ORDER_EXTRAS},
    }


def _goods_total(properties: dict[str, Any]) -> Any:
    """What was paid for the goods: after discounts, without shipping and tax; None if it was not told.

    A total below shipping and tax, as with a voucher over the goods, leaves nothing for them.
    """
    for name in ("subtotal", "revenue"):
        if properties.get(name) is not None:
            return properties[name]
    total = properties.get("total")
    amounts = [_exact(properties.get(name)) for name in ("total", "shipping", "tax")]
    if amounts[0] is None or (amounts[1] is None and amounts[2] is None):
        return total
    return str(max(Decimal(0), amounts[0] - sum(amount for amount in amounts[1:] if amount is not None)))


def _exact(amount: object) -> Decimal | None:
    """The amount if it is a plain number; whatever else it is, the contract refuses in its own words."""
    if type(amount) is int or (type(amount) is str and _PLAIN.fullmatch(amount)):
        return Decimal(amount)
    return Decimal(str(amount)) if type(amount) is float and 0 <= amount < _HUGE else None
