"""How the OpenAPI document shows what may be sent to `/v1/events`, and the answers."""

from typing import Any

from api.intake import MAX_EVENTS
from api.receipts import EventsProblem
from contracts.currencies import MINOR_DIGITS
from contracts.events import SCHEMA_VERSION, EventType
from contracts.fields import MAX_ID_CHARS, MAX_TEXT_CHARS
from contracts.numbers import MAX_MAJOR, MAX_QUANTITY

_ID = {"type": ["string", "integer"], "minLength": 1, "maxLength": MAX_ID_CHARS}
_TEXT = {"type": ["string", "null"], "maxLength": MAX_TEXT_CHARS}

EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["event_type", "user_id", "product_id"],
    "properties": {
        "schema": {"type": "integer", "default": SCHEMA_VERSION},
        "event_id": {**_ID, "description": "Events with one id count once; absent: a digest of the content"},
        "event_type": {"enum": [kind.value for kind in EventType]},
        "event_time": {
            "type": ["integer", "string", "null"],
            "description": "Epoch ms, or RFC 3339 with an offset; absent: the time of receipt",
        },
        "user_id": _ID,
        "session_id": _ID,
        "product_id": _ID,
        "price": {"type": ["number", "string"], "description": f"Of one unit, 0 to {MAX_MAJOR}"},
        "currency": {"enum": sorted(MINOR_DIGITS)},
        "quantity": {"type": ["integer", "string"], "default": 1, "description": f"1 to {MAX_QUANTITY}"},
        "category": _TEXT,
        "brand": _TEXT,
        "order_id": _ID,
    },
    "additionalProperties": True,
}
"""For readers only: the contract decides. Unknown fields are kept."""

_CART = {
    "event_type": "cart",
    "user_id": "you",
    "product_id": "p00054",
    "price": "19.90",
    "currency": "EUR",
}
_PURCHASE = {
    "event_id": "9f1c2a7be1",
    "event_type": "purchase",
    "event_time": "2025-10-09T10:53:20.250+02:00",
    "user_id": "you",
    "product_id": "p00054",
    "price": "19.90",
    "currency": "EUR",
    "quantity": 2,
    "order_id": "o-1042",
}

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    EVENT_SCHEMA,
                    {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": EVENT_SCHEMA},
                ]
            },
            "examples": {
                "one": {"summary": "One event", "value": _CART},
                "array": {"summary": "Two events", "value": [_CART, _PURCHASE]},
            },
        },
        "text/plain": {"schema": {"type": "string", "description": "The same JSON, as sendBeacon sends it"}},
    },
}

_RECEIPT: dict[str, Any] = {
    "request_id": "5f0c1a52f4a44d6b9b1f6f4c6a8c3e0d",
    "accepted": 1,
    "rejected": 1,
    "errors": [
        {
            "index": 1,
            "code": "price.negative",
            "detail": "price must not be negative",
            "event_id": "9f1c2a7be1",
        }
    ],
}

_STATUSES = {
    400: "The body is no event and no array of 1 to 1,000, or none of them was accepted (`errors`)",
    408: "The body did not come within 10 s",
    413: "The body is larger than 1 MiB",
    415: "Another Content-Type, or a compressed body",
    503: "Kafka did not acknowledge within 5 s: send the same again",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"content": {"application/json": {"example": _RECEIPT}}},
    **{status: {"model": EventsProblem, "description": text} for status, text in _STATUSES.items()},
}
