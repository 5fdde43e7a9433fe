"""Examples of what may be sent to `/v1/events`, and of the answer."""

from typing import Any

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

_ORDER = {
    "event_id": "e-9",
    "event_type": "purchase",
    "user_id": "you",
    "order_id": "o-1042",
    "currency": "EUR",
    "total": "50.00",
    "items": [
        {"product_id": "p1", "price": "19.99"},
        {"product_id": "p2", "price": "15.00", "quantity": 2},
    ],
}
_WHOLE_ORDER = {
    "event_type": "purchase",
    "user_id": "you",
    "order_id": "o-1044",
    "total": "30.00",
    "currency": "EUR",
}
_REFUND = {"event_id": "r-7", "event_type": "refund", "user_id": "you", "order_id": "o-1042"}
LINE = '{"event_type":"view","user_id":"you","product_id":"p00054"}'

EXAMPLES: dict[str, Any] = {
    "one": {"summary": "One event", "value": _CART},
    "order": {"summary": "An order of two products", "value": _ORDER},
    "whole_order": {"summary": "An order without its lines", "value": _WHOLE_ORDER},
    "refund": {"summary": "A refund of all that is left of an order", "value": _REFUND},
    "refunded_piece": {
        "summary": "A refund of one unit, at the price that was paid",
        "value": {**_REFUND, "event_id": "r-8", "product_id": "p1", "quantity": 1},
    },
    "batch": {
        "summary": "With the sender's clock",
        "value": {"batch": [_CART, _PURCHASE], "sent_at": "2025-10-09T10:53:21.000+02:00"},
    },
}

RECEIPT: dict[str, Any] = {
    "request_id": "5f0c1a52f4a44d6b9b1f6f4c6a8c3e0d",
    "accepted": 1,
    "duplicates": 0,
    "rejected": 1,
    "dropped": 0,
    "dedupe": "event_id",
    "redacted": 0,
    "clock_offset_ms": 0,
    "dry_run": False,
    "errors": [
        {
            "index": 1,
            "code": "price.negative",
            "detail": "price must not be negative",
            "event_id": "9f1c2a7be1",
        }
    ],
}
