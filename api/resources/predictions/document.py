"""How the OpenAPI document shows what may be sent to `/v1/predict/next-action`, and the answers."""

from typing import Any

from api.openapi.json_bodies import describe_body, describe_refusals
from api.resources.events.document import MAYBE_ID
from api.resources.events.document import SCHEMAS as EVENT_SCHEMAS
from api.resources.predictions.schemas import ActionsProblem
from api.resources.predictions.sequences import MAX_ACTIONS, MAX_AFTER_S
from contracts.events import EventType

_NAMES = {"type": "string", "pattern": f"^({'|'.join(EventType)})$"}
_FIELDS = ("event_type", "event_time", "product_id", "price", "currency", "quantity", "category", "brand")
_ACTION: dict[str, Any] = {
    "type": "object",
    "title": "SequenceAction",
    "required": ["event_type"],
    "properties": {
        **{name: EVENT_SCHEMAS["Event"]["properties"][name] for name in _FIELDS},
        "product_id": MAYBE_ID,
        "after_s": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": MAX_AFTER_S,
            "default": 60,
            "description": "Seconds since the previous action; only if no action has event_time",
        },
    },
}
_SHORT = {"actions": ["view", "view", "cart"]}
_LONG = {
    "actions": [
        {"event_type": "view", "product_id": "p00054", "price": "19.90", "category": "apparel.shoes"},
        {"event_type": "cart", "product_id": "p00054", "price": "19.90", "after_s": 40},
        {"event_type": "view", "product_id": "p00427", "price": "34.90", "after_s": 200},
    ]
}
_TIMED = {
    "actions": [
        {"event_type": "view", "event_time": "2025-10-09T10:53:20+02:00"},
        {"event_type": "cart", "event_time": "2025-10-09T10:54:00+02:00"},
    ]
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "SequenceAction": _ACTION,
    "AnyAction": {
        "title": "AnyAction",
        "description": "The name of an event type, or an object with details of the action",
        "oneOf": [_NAMES, {"$ref": "#/components/schemas/SequenceAction"}],
    },
    "ActionSequence": {
        "type": "object",
        "title": "ActionSequence",
        "description": "What a visitor did, oldest first: names of event types, or objects with details",
        "required": ["actions"],
        "properties": {
            "actions": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ACTIONS,
                "items": {"$ref": "#/components/schemas/AnyAction"},
            }
        },
        "additionalProperties": False,
    },
}
"""What the body refers to."""

REQUEST_BODY = describe_body(
    "ActionSequence",
    {
        "short": ("Only event types", _SHORT),
        "long": ("Products, prices and pauses", _LONG),
        "timed": ("With times", _TIMED),
    },
)
RESPONSES = describe_refusals(
    ActionsProblem,
    {
        422: f"No actions, more than {MAX_ACTIONS}, or invalid ones (`errors`)",
        503: "No model is loaded, it failed, or too many predictions are in progress; retry",
    },
)
