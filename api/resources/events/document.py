"""How the OpenAPI document shows what may be sent to `/v1/events`, and the answers."""

from typing import Any

from api.http.query_times import LATEST_MS
from api.openapi.identifiers import NO_CONTROL, TEXT_ID
from api.openapi.problem_document import describe_problems
from api.resources.events.examples import EXAMPLES, LINE, RECEIPT
from api.resources.events.payloads import MAX_EVENTS
from api.resources.events.receipts import EventsProblem, Receipt
from contracts.currencies import MINOR_DIGITS
from contracts.event_versions import SCHEMA_VERSION
from contracts.events import EventType
from contracts.fields import EARLIEST_MS, MAX_TEXT_CHARS
from contracts.numbers import MAX_MAJOR, MAX_QUANTITY
from contracts.orders import MAX_ITEMS, ORDER_TYPES


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(name: str, **more: Any) -> dict[str, Any]:
    return {"anyOf": [_ref(name), {"type": "null"}], **more}


_RFC_3339 = (
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"
)

# What may be of several types is a schema of its own: of one without a name generators make a class named
# after a place in the document, or fail. Times and names have patterns in place of a format or an
# enumeration here: a choice between those and another type is more than some generators can write.
_INTEGER = {"type": "integer", "minimum": -(2**63), "maximum": 2**64 - 1}
_UNIONS: dict[str, dict[str, Any]] = {
    "Identifier": {
        "description": "An id of up to 256 characters; an integer is read as its digits",
        "oneOf": [TEXT_ID, _INTEGER],
    },
    "Label": {
        "description": "A name, such as of a brand; an integer is read as its digits",
        "oneOf": [{"type": "string", "maxLength": MAX_TEXT_CHARS, "pattern": f"^{NO_CONTROL}*$"}, _INTEGER],
    },
    "EventTime": {
        "description": "Epoch ms, or RFC 3339 with an offset",
        "oneOf": [
            {"type": "integer", "minimum": EARLIEST_MS, "maximum": LATEST_MS - 1},
            {"type": "string", "pattern": f"^{_RFC_3339}$"},
        ],
    },
    "Price": {
        "description": f"A number or a decimal string from 0 to {MAX_MAJOR}",
        "oneOf": [
            {"type": "number", "minimum": 0, "maximum": MAX_MAJOR},
            {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,12})?$"},
        ],
    },
    "Amount": {
        "description": f"A number or a decimal string up to {MAX_MAJOR}; a negative amount is a refund",
        "oneOf": [
            {"type": "number", "minimum": -MAX_MAJOR, "maximum": MAX_MAJOR},
            {"type": "string", "pattern": r"^-?[0-9]{1,9}(\.[0-9]{1,12})?$"},
        ],
    },
    "Quantity": {
        "description": f"A number or a string from 1 to {MAX_QUANTITY}",
        "oneOf": [
            {"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY},
            {"type": "string", "pattern": r"^[1-9][0-9]{0,5}(\.0{1,6})?$"},
        ],
    },
}
MAYBE_ID = _or_null("Identifier")

_EVENT: dict[str, Any] = {
    "type": "object",
    "title": "Event",
    "description": "One action of a visitor on one product, or units of it that are returned (`refund`); "
    "unknown fields are kept",
    "required": ["event_type", "product_id"],
    "properties": {
        "schema": {"type": "integer", "default": SCHEMA_VERSION},
        "event_id": _or_null(
            "Identifier",
            description="Events with the same id are counted once; default: a digest of the content",
        ),
        "event_type": _ref("EventType"),
        "event_time": _or_null("EventTime", description="Default: the time of receipt"),
        "user_id": {
            **_ref("Identifier"),
            "description": "The customer who is logged in; without an `anonymous_id`, the visitor (then "
            "required)",
        },
        "anonymous_id": _or_null(
            "Identifier", description="The device: the same id before and after a login"
        ),
        "session_id": MAYBE_ID,
        "product_id": _ref("Identifier"),
        "price": _or_null(
            "Price", description="Price of one unit; without it, a refund uses the price that was paid"
        ),
        "currency": _or_null("Currency"),
        "quantity": _or_null("Quantity", default=1),
        "category": _or_null("Label"),
        "brand": _or_null("Label"),
        "order_id": _or_null(
            "Identifier",
            description="The same on all lines of an order: each line counts once, however often it is sent. "
            "In a refund, the order that is refunded",
        ),
    },
}

_FIELDS = _EVENT["properties"]
_ITEM_FIELDS = ("product_id", "price", "quantity", "category", "brand")
_ITEM: dict[str, Any] = {
    "type": "object",
    "title": "OrderItem",
    "description": "One product of an order",
    "required": ["product_id"],
    "properties": {name: _FIELDS[name] for name in _ITEM_FIELDS},
}
_ORDER_EVENT: dict[str, Any] = {
    "type": "object",
    "title": "OrderEvent",
    "description": "One event about several products; fields of a product, such as its price, belong in "
    "`items`",
    "required": ["event_type", "items"],
    "properties": {
        **{name: field for name, field in _FIELDS.items() if name not in _ITEM_FIELDS},
        "items": {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": _ref("OrderItem")},
        "total": {
            "description": "For a purchase or a refund: the total of its items, a number or a decimal string"
        },
    },
}
_WHOLE_ORDER: dict[str, Any] = {
    "type": "object",
    "title": "WholeOrder",
    "description": "A purchase or a refund of an order as a whole, without products. It counts as a "
    "purchase with "
    "no units; an order counts as a whole or by its lines, whichever was sent first. A refund without a "
    "`total` refunds all that is left of the order. `order_id` or `total` is required",
    "required": ["event_type"],
    "propertyNames": {"not": {"enum": ["product_id", "items"]}},
    "properties": {
        **{name: field for name, field in _FIELDS.items() if name not in _ITEM_FIELDS},
        "event_type": _ref("WholeOrderType"),
        "total": _or_null("Amount", description="The total of the order, or the amount that is refunded"),
    },
}

_EVENTS: dict[str, Any] = {
    "type": "array",
    "title": "EventList",
    "description": "Up to 1,000 events",
    "minItems": 1,
    "maxItems": MAX_EVENTS,
    "items": _ref("AnyEvent"),
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "title": "EventBatch",
    "description": "Events with the sender's clock, key or consent",
    "required": ["batch"],
    "properties": {
        "batch": _ref("EventList"),
        "sent_at": _or_null(
            "EventTime",
            description="Time of sending by the sender's clock; a clock that is wrong is corrected",
        ),
        "key": {
            "type": ["string", "null"],
            "description": "A publishable key, for senders that cannot set a header",
        },
        "consent": {"description": "`denied` or false: applies to all events"},
    },
    "additionalProperties": False,
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "EventType": {"type": "string", "title": "EventType", "enum": [kind.value for kind in EventType]},
    "Currency": {
        "type": "string",
        "title": "Currency",
        "enum": sorted(MINOR_DIGITS),
        "description": "ISO 4217",
    },
    "Event": _EVENT,
    "OrderItem": _ITEM,
    "OrderEvent": _ORDER_EVENT,
    "WholeOrder": _WHOLE_ORDER,
    "WholeOrderType": {"type": "string", "title": "WholeOrderType", "enum": list(ORDER_TYPES)},
    "AnyEvent": {
        "description": "An event about one product, about several, or about an order as a whole",
        "oneOf": [_ref("Event"), _ref("OrderEvent"), _ref("WholeOrder")],
    },
    "EventList": _EVENTS,
    "EventBatch": _BATCH,
    "EventsBody": {
        "description": "One event or a batch; an array of events is accepted too",
        "oneOf": [_ref("Event"), _ref("OrderEvent"), _ref("WholeOrder"), _ref("EventBatch")],
    },
    **{name: {"title": name, **schema} for name, schema in _UNIONS.items()},
}
"""What the body refers to. For readers and for generators of clients: the contract decides."""

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _ref("EventsBody"),
            "examples": EXAMPLES,
        },
        "application/x-ndjson": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "One event per line; an invalid line does not affect the others",
            },
            "example": f"{LINE}\n",
        },
        "text/plain": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "JSON or JSON lines, as sent by sendBeacon",
            },
            "example": LINE,
        },
    },
}

PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "validate",
        "in": "query",
        "required": False,
        "schema": {"enum": ["0", "1"], "default": "0"},
        "description": "1: dry run. Events are validated, but nothing is stored or counted against a quota",
    },
    {
        "name": "X-Sent-At",
        "in": "header",
        "required": False,
        # One pattern, not one of two kinds of strings: generators of clients know no such header.
        "schema": {"type": "string", "pattern": f"^([0-9]{{12,15}}|{_RFC_3339})?$"},
        "description": "Time of sending, epoch ms or RFC 3339; `sent_at` in a batch takes precedence",
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "required": False,
        "schema": {"enum": ["identity", "gzip"]},
        "description": "gzip: the limit of 1 MiB applies to the decompressed body too",
    },
]

_STATUSES = {
    400: "The body does not contain 1 to 1,000 events, or all of them were rejected (`errors`)",
    401: "No key, an unknown key, or several keys",
    403: "The key lacks the scope `events:write`, or is bound to other origins",
    408: "The body was not received within 10 s",
    413: "The body is larger than 1 MiB, before or after decompression",
    415: "Unsupported content type or encoding; use JSON, and gzip if compressed",
    422: "Unknown parameter",
    429: "The key's quota is used up; retry after `Retry-After` seconds",
    503: "Kafka did not acknowledge within 5 s, or too many events are waiting for it: send the same "
    "request again after "
    "`Retry-After` seconds",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Receipt,
        "description": "Result of the dry run; nothing was stored",
        "content": {"application/json": {"example": {**RECEIPT, "dry_run": True}}},
    },
    202: {
        "description": "The accepted events are in Kafka",
        "content": {"application/json": {"example": RECEIPT}},
    },
    **describe_problems(_STATUSES),
    400: {"model": EventsProblem, "description": _STATUSES[400]},
}
