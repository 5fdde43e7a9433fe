"""How the OpenAPI document shows what may be sent to `/v1/events`, and the answers."""

from typing import Any

from api.openapi.identifiers import NO_CONTROL, TEXT_ID
from api.openapi.problem_document import describe_problems
from api.resources.events.examples import EXAMPLES, LINE, RECEIPT
from api.resources.events.payloads import MAX_EVENTS
from api.resources.events.receipts import EventsProblem, Receipt
from contracts.currencies import MINOR_DIGITS
from contracts.events import SCHEMA_VERSION, EventType
from contracts.fields import EARLIEST_MS, MAX_TEXT_CHARS
from contracts.numbers import MAX_MAJOR, MAX_QUANTITY
from contracts.orders import MAX_ITEMS

_ID = {
    **TEXT_ID,
    "type": ["string", "integer"],
    "minimum": -(2**63),
    "maximum": 2**64 - 1,
}
MAYBE_ID = {**_ID, "type": ["string", "integer", "null"]}
_TEXT = {
    "type": ["string", "integer", "null"],
    "maxLength": MAX_TEXT_CHARS,
    "pattern": f"^{NO_CONTROL}*$",
    "minimum": -(2**63),
    "maximum": 2**64 - 1,
}
TIME: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": EARLIEST_MS},
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ]
}

_RFC_3339 = (
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"
)


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_EVENT: dict[str, Any] = {
    "type": "object",
    "title": "Event",
    "description": "What a visitor did with one product; unknown fields are kept",
    "required": ["event_type", "product_id"],
    "properties": {
        "schema": {"type": "integer", "default": SCHEMA_VERSION},
        "event_id": {
            **MAYBE_ID,
            "description": "Events with one id count once; absent: a digest of the content",
        },
        "event_type": _ref("EventType"),
        "event_time": {
            **TIME,
            "description": "Epoch ms, or RFC 3339 with an offset; absent: the time of receipt",
        },
        "user_id": {
            **_ID,
            "description": "Who is logged in; without an `anonymous_id`, the visitor (then it is required)",
        },
        "anonymous_id": {**MAYBE_ID, "description": "The device: one id before and after a login"},
        "session_id": MAYBE_ID,
        "product_id": _ID,
        "price": {
            "type": ["number", "string", "null"],
            "minimum": 0,
            "maximum": MAX_MAJOR,
            "pattern": r"^[0-9]{1,9}(\.[0-9]{1,12})?$",
            "description": f"Of one unit, 0 to {MAX_MAJOR}",
        },
        "currency": {"anyOf": [_ref("Currency"), {"type": "null"}]},
        "quantity": {
            "type": ["integer", "string", "null"],
            "minimum": 1,
            "maximum": MAX_QUANTITY,
            "pattern": r"^[1-9][0-9]{0,5}(\.0{1,6})?$",
            "default": 1,
            "description": f"1 to {MAX_QUANTITY}",
        },
        "category": _TEXT,
        "brand": _TEXT,
        "order_id": MAYBE_ID,
    },
    "additionalProperties": True,
}

_FIELDS = _EVENT["properties"]
_ITEM_FIELDS = ("product_id", "price", "quantity", "category", "brand")
_ITEM: dict[str, Any] = {
    "type": "object",
    "title": "OrderItem",
    "description": "One product of an order",
    "required": ["product_id"],
    "properties": {name: _FIELDS[name] for name in _ITEM_FIELDS},
    "additionalProperties": True,
}
_ORDER_EVENT: dict[str, Any] = {
    "type": "object",
    "title": "OrderEvent",
    "description": "One event of several products; their fields may have the names of other systems too",
    "required": ["event_type", "items"],
    "properties": {
        **_FIELDS,
        **{name: {"type": "null", "description": "Of the items"} for name in _ITEM_FIELDS},
        "items": {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": _ref("OrderItem")},
        "total": {"description": "Of a purchase: what its items come to, a number or decimal string"},
    },
    "additionalProperties": True,
}

_EVENTS = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_EVENTS,
    "items": {"anyOf": [_ref("Event"), _ref("OrderEvent")]},
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "title": "EventBatch",
    "description": "Events with the sender's clock or key",
    "required": ["batch"],
    "properties": {
        "batch": _EVENTS,
        "sent_at": {
            **TIME,
            "description": "When this is sent, by the clock of `event_time`: a wrong clock is set right",
        },
        "key": {"type": ["string", "null"], "description": "A publishable key, where no header can be set"},
        "consent": {"description": "`denied` or false: of all events"},
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
    "EventBatch": _BATCH,
}
"""What the body refers to. For readers and for generators of clients: the contract decides."""

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"anyOf": [_ref("Event"), _ref("OrderEvent"), _EVENTS, _ref("EventBatch")]},
            "examples": EXAMPLES,
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "One event a line; a bad line fails no other"},
            "example": f"{LINE}\n",
        },
        "text/plain": {
            "schema": {"type": "string", "description": "JSON or lines of it, as sendBeacon sends it"},
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
        "description": "1: a dry run. The same verdicts, and nothing is sent, stored or taken off a quota",
    },
    {
        "name": "X-Sent-At",
        "in": "header",
        "required": False,
        # One pattern, not one of two kinds of strings: generators of clients know no such header.
        "schema": {"type": "string", "pattern": f"^([0-9]{{12,15}}|{_RFC_3339})?$"},
        "description": "When this is sent, epoch ms or RFC 3339, as `sent_at` of a batch, which wins over it",
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "required": False,
        "schema": {"enum": ["identity", "gzip"]},
        "description": "gzip: the limit of 1 MiB is of the decompressed body too",
    },
]

_STATUSES = {
    400: "The body holds no 1 to 1,000 events, or each of them was refused (`errors`)",
    401: "No key, one that is not known, or several",
    403: "The key lacks the scope `events:write`, or is bound to other origins",
    408: "The body did not come within 10 s",
    413: "The body is larger than 1 MiB, decompressed too",
    415: "No JSON and of another type, or compressed with anything but gzip",
    422: "A parameter is not known",
    429: "A quota of the key is spent: try again after `Retry-After` seconds",
    503: "Kafka did not acknowledge within 5 s, or too much waits for it: send the same again after "
    "`Retry-After` seconds",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Receipt,
        "description": "The dry run's verdicts: nothing was stored",
        "content": {"application/json": {"example": {**RECEIPT, "dry_run": True}}},
    },
    202: {
        "description": "Kafka has the accepted events",
        "content": {"application/json": {"example": RECEIPT}},
    },
    **describe_problems(_STATUSES),
    400: {"model": EventsProblem, "description": _STATUSES[400]},
}
