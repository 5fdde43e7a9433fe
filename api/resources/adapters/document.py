"""The answers to senders of other systems, and how the OpenAPI document shows what they may send."""

from typing import Any

from pydantic import Field

from api.openapi.problem_document import describe_problems
from api.resources.events.payloads import MAX_EVENTS
from api.resources.events.receipts import Receipt
from readers.answers import Answer


class SegmentReceipt(Receipt):
    """Segment's answer, with what became of the calls; an `index` in `errors` is a position in the batch."""

    success: bool = Field(True, description="True: the calls were read; rejected events are in `errors`")
    ignored: int = Field(ge=0, description="Calls that are not about a product, a cart or an order")


class ValidationMessage(Answer):
    """One rule that an event breaks, in the form of GA4's validation server."""

    field_path: str = Field(serialization_alias="fieldPath")
    description: str
    validation_code: str = Field(serialization_alias="validationCode")


class Validation(Answer):
    """What GA4's validation server answers; empty if nothing is wrong."""

    validation_messages: list[ValidationMessage] = Field(serialization_alias="validationMessages")


_CALL: dict[str, Any] = {
    "type": "track",
    "event": "Product Added",
    "anonymousId": "507f191e810c19729de860ea",
    "messageId": "ajs-next-1760000000250-0b",
    "timestamp": "2025-10-09T08:53:20.250Z",
    "sentAt": "2025-10-09T08:53:20.262Z",
    "properties": {"product_id": "p00054", "price": 19.9, "quantity": 1, "currency": "EUR"},
}
_BODY: dict[str, Any] = {
    "client_id": "1847123456.1760000000",
    "timestamp_micros": 1760000000250000,
    "events": [
        {
            "name": "add_to_cart",
            "params": {
                "session_id": "1760000000",
                "currency": "EUR",
                "items": [{"item_id": "p00054", "item_name": "Stride Tee", "price": 19.9, "quantity": 1}],
            },
        }
    ],
}
_OBJECT: dict[str, Any] = {
    "type": "object",
    "description": "Members not listed in docs/adapters.md are ignored",
}


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The body as JSON; as plain text no schema could say what is taken."""
    text = (
        "The same JSON is also accepted as `text/plain`, which browsers send without a preflight, and "
        "compressed with gzip."
    )
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "description": text, "content": content}}


CALL_BODY = _body(_OBJECT, _CALL)
SCHEMAS: dict[str, Any] = {
    "SegmentBatch": {
        **_OBJECT,
        "title": "SegmentBatch",
        "required": ["batch"],
        "properties": {
            "batch": {
                "type": "array",
                "maxItems": MAX_EVENTS,
                "items": {"description": "A call; each is validated separately"},
            }
        },
    }
}
BATCH_BODY = _body(
    {"$ref": "#/components/schemas/SegmentBatch"},
    {"batch": [_CALL], "sentAt": _CALL["sentAt"]},
)
GA4_BODY = _body(_OBJECT, _BODY)

RESPONSES = describe_problems(
    {
        400: "The body is not a JSON object, or its list of events is missing",
        401: "No key, an unknown key, or several keys",
        403: "The key lacks the scope `events:write`, or is bound to other origins",
        408: "The body was not received within 10 s",
        413: "The body is larger than 1 MiB, before or after decompression",
        415: "Compressed with anything other than gzip",
        422: "Unknown parameter",
        429: "The key's quota is used up; retry after `Retry-After` seconds",
        503: "Kafka did not acknowledge, or too many events are waiting for it: send the same request "
        "again after "
        "`Retry-After` seconds",
    }
)
