"""How the OpenAPI document shows what may be sent to `/v1/predict/next-basket`, and the answers."""

from typing import Any

from api.openapi.json_bodies import describe_body, describe_refusals
from api.resources.events.document import SCHEMAS as EVENT_SCHEMAS
from api.resources.next_basket.baskets import DEFAULT_LIMIT, MAX_BASKETS, MAX_ITEMS, MAX_LIMIT
from api.resources.next_basket.schemas import BasketsProblem

_TIME = EVENT_SCHEMAS["Event"]["properties"]["event_time"]
_PLAIN: dict[str, Any] = {"baskets": [["p00017", "p00054"], ["p00017"], ["p00017", "p00427"]]}
_TIMED: dict[str, Any] = {
    "baskets": [
        {"items": ["p00017", "p00054"], "at": "2025-10-01T09:00:00+02:00"},
        {"items": ["p00017", "p00427"], "at": "2025-10-08T10:30:00+02:00"},
    ],
    "asked_at": "2025-10-15T09:00:00+02:00",
    "limit": 5,
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "PastBasket": {
        "title": "PastBasket",
        # Of any type here: a list or an object is a union that generators of clients cannot write.
        "description": f"Ids of 1 to {MAX_ITEMS} products, or an object of them, `items`, and a time, `at`",
        "examples": [_PLAIN["baskets"][0], _TIMED["baskets"][0]],
    },
    "PastBaskets": {
        "type": "object",
        "title": "PastBaskets",
        "description": "The baskets of one customer, oldest first",
        "required": ["baskets"],
        "properties": {
            "baskets": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_BASKETS,
                "items": {"$ref": "#/components/schemas/PastBasket"},
            },
            "asked_at": {**_TIME, "description": "When the next basket is bought; default: now"},
            "limit": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "default": DEFAULT_LIMIT,
            },
        },
        "additionalProperties": False,
    },
}
"""What the body refers to."""

REQUEST_BODY = describe_body(
    "PastBaskets", {"plain": ("Only products", _PLAIN), "timed": ("With times", _TIMED)}
)
RESPONSES = describe_refusals(
    BasketsProblem, {422: f"No baskets, more than {MAX_BASKETS}, or invalid ones (`errors`)"}
)
