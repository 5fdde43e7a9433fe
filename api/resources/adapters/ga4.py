"""GA4's Measurement Protocol: its ecommerce events, and how its validation server words what is wrong."""

from typing import Any

import orjson

from api.resources.adapters.translation import (
    ORDER_TYPES,
    Translation,
    list_of,
    object_of,
    present,
    who,
)
from api.resources.events.payloads import MAX_EVENTS
from contracts.event_ids import content_id
from contracts.fields import InvalidEvent, kind_of

SOURCE = "ga4"
_TYPES = {
    "view_item": "view",
    "add_to_cart": "cart",
    "remove_from_cart": "remove_from_cart",
    "add_to_wishlist": "favorite",
    "purchase": "purchase",
    "refund": "refund",
}
_ITEM_NAMES = {
    "item_name": "name",
    "item_variant": "variant",
    "item_brand": "brand",
    "price": "price",
    "quantity": "quantity",
    "currency": "currency",
    "coupon": "coupon",
    "discount": "discount",
    **{name: name for name in ("item_category", *(f"item_category{n}" for n in range(2, 6)))},
}
_ORDER_EXTRAS = ("coupon", "tax", "shipping")
_HUGE = 1e18
_PATHS = {
    "user_id": "client_id",
    "anonymous_id": "client_id",
    "event_time": "timestamp_micros",
    "session_id": "params.session_id",
    "order_id": "params.transaction_id",
    "currency": "params.currency",
    "value": "params.value",
    "items": "params.items",
    "events": "events",
}
"""Where GA4's body has what a code of ours begins with."""
_TOP_PATHS = ("client_id", "timestamp_micros", "events")
_VALIDATION_CODES = {
    "missing": "VALUE_REQUIRED",
    "empty": "VALUE_REQUIRED",
    "too_many": "EXCEEDED_MAX_ENTITIES",
    "too_large": "VALUE_OUT_OF_BOUNDS",
    "too_long": "VALUE_OUT_OF_BOUNDS",
    "too_early": "VALUE_OUT_OF_BOUNDS",
    "in_future": "VALUE_OUT_OF_BOUNDS",
    "negative": "VALUE_OUT_OF_BOUNDS",
    "not_positive": "VALUE_OUT_OF_BOUNDS",
}


def translate_body(body: dict[str, Any], *, received_ms: int) -> Translation:
    """The events of a body of `/mp/collect`; those without a time happened when they were received."""
    events = body.get("events")
    if type(events) is not list:
        return _refused("events.not_list", f"events must be an array, got {kind_of(events)}")
    if len(events) > MAX_EVENTS:
        return _refused("events.too_many", f"events must have at most {MAX_EVENTS} events, got {len(events)}")
    found: list[tuple[int, Any]] = []
    for place, event in enumerate(events):
        if type(event) is not dict:
            found.append((place, event))  # for the intake to refuse
        elif (event_type := _type_of(event)) is not None:
            found.append((place, _to_event(body, event, event_type, place, received_ms)))
    places = [place for place, _ in found]
    return Translation([event for _, event in found], places, len(events) - len(found), source=SOURCE)


def word_refusal(index: int, code: str, detail: str) -> dict[str, str]:
    """A refusal of the event at `index` as GA4's validation server says it."""
    field, _, rule = code.rpartition(".")
    path = _PATHS.get(field.partition(".")[0], "")
    if path not in _TOP_PATHS:
        path = f"events[{index}].{path}" if path else f"events[{index}]"
    return {
        "fieldPath": path,
        "description": f"Event at index: [{index}] {code}: {detail}",
        "validationCode": _VALIDATION_CODES.get(rule, "VALUE_INVALID"),
    }


def _refused(code: str, detail: str) -> Translation:
    return Translation([InvalidEvent(code, detail)], [0], 0, source=SOURCE)


def _type_of(event: dict[str, Any]) -> str | None:
    name = event.get("name")
    return _TYPES.get(name) if type(name) is str else None


def _to_event(
    body: dict[str, Any], event: dict[str, Any], event_type: str, place: int, received_ms: int
) -> dict[str, Any]:
    params = object_of(event.get("params"))
    micros = event.get("timestamp_micros") or body.get("timestamp_micros")
    fields = {
        "event_type": event_type,
        "event_time": received_ms if micros is None else _milliseconds(micros),
        "session_id": params.get("session_id"),
        "currency": params.get("currency"),
        "items": _items_of(params),
    }
    if event_type in ORDER_TYPES:
        fields["order_id"] = params.get("transaction_id")
        fields["value"] = params.get("value")
        fields |= {name: params.get(name) for name in _ORDER_EXTRAS}
    device_id = body.get("client_id") or body.get("app_instance_id")
    ids = who(device_id, body.get("user_id"), is_told="user_id" in body)
    fields = present(fields)
    if event_type not in ORDER_TYPES or "order_id" not in fields:  # an order is known by its own id
        fields["event_id"] = _event_id(fields | ids, place)
    return present(fields) | ids


def _event_id(fields: dict[str, Any], place: int) -> str | None:
    """An id, which the protocol lacks: of what an event says and where, as a batch has one time for all."""
    try:
        return content_id("ga4", place, fields)
    except orjson.JSONEncodeError:  # too deep for any event, which the intake will say
        return None


def _milliseconds(micros: object) -> object:
    """Milliseconds of microseconds; whatever else it is, the contract refuses in its own words."""
    if type(micros) is str and micros.isascii() and micros.isdecimal() and len(micros) < 20:
        return int(micros) // 1_000
    if type(micros) is int or (type(micros) is float and abs(micros) < _HUGE):
        return int(micros) // 1_000
    return micros


def _items_of(params: dict[str, Any]) -> Any:
    items = list_of(params.get("items"))
    if type(items) is not list:
        return items
    return [_to_item(item) if type(item) is dict else item for item in items]


def _to_item(item: dict[str, Any]) -> dict[str, Any]:
    fields = {ours: item.get(name) for name, ours in _ITEM_NAMES.items()}
    return present({"product_id": item.get("item_id") or item.get("id"), **fields})
