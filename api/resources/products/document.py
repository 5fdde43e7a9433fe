"""How the OpenAPI document shows what may be sent to `/v1/products`, and the answers."""

from typing import Any

from api.openapi.problem_document import describe_problems
from api.resources.products.examples import LINES, RECEIPT, UPDATE
from api.resources.products.schemas import ProductReceipt, ProductsProblem
from contracts.numbers import MAX_STOCK
from contracts.product_records import MAX_CATEGORIES, MAX_REGIONS, MAX_URL_CHARS


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"anyOf": [schema, {"type": "null"}], **described}


_URL = {
    "type": "string",
    "maxLength": MAX_URL_CHARS,
    "description": "Absolute, http or https, percent-encoded",
}
_TIME = _ref("EventTime")


def _texts(most: int, what: str) -> dict[str, Any]:
    """Of any type here: what is taken, a list or a text alone, is a union that generators cannot write."""
    return {"description": f"{what}: a list of at most {most} texts, or one text; null clears it"}


SCHEMAS: dict[str, dict[str, Any]] = {
    "PromotionUpdate": {
        "type": "object",
        "title": "PromotionUpdate",
        "description": "A lower price for a time",
        "required": ["price"],
        "properties": {
            "price": _ref("Price"),
            "from": _or_null(_TIME, "Default: from any time on"),
            "to": _or_null(_TIME, "The first moment after it, later than `from`; default: without an end"),
        },
        "additionalProperties": False,
    },
    "ProductUpdate": {
        "type": "object",
        "title": "ProductUpdate",
        "description": "Facts of a product: the fields that are named change, null clears one. "
        "An array of these is accepted too",
        "required": ["product_id"],
        "properties": {
            "product_id": _ref("Identifier"),
            "title": _or_null(_ref("Label")),
            "price": _or_null(_ref("Price")),
            "currency": _or_null(_ref("Currency"), "Of the prices in this record"),
            "promotion": _or_null(_ref("PromotionUpdate")),
            "image_url": _or_null(_URL),
            "page_url": _or_null(_URL),
            "brand": _or_null(_ref("Label")),
            "categories": _texts(MAX_CATEGORIES, "All that it is in"),
            "regions": _texts(MAX_REGIONS, "Where it is sold"),
            "stock": _or_null(
                {"type": "integer", "minimum": 0, "maximum": MAX_STOCK}, "Units; null: not known"
            ),
            "active": _or_null({"type": "boolean"}, "Whether it is on sale"),
            "published_at": _or_null(_TIME),
            "updated_at": _or_null(
                _TIME, "As of when this is so; default: the time of receipt. Older words do not replace newer"
            ),
        },
        "additionalProperties": False,
    },
}
"""What the body refers to. For readers and for generators of clients: the contract decides."""

REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _ref("ProductUpdate"),
            "examples": {
                "one": {"summary": "One product", "value": UPDATE},
            },
        },
        "application/x-ndjson": {
            "schema": {
                "type": "string",
                "format": "binary",
                "description": "One product per line; an invalid line does not affect the others",
            },
            "example": LINES,
        },
    },
}

_STATUSES = {
    400: "The body does not contain 1 to 1,000 products, or all of them were rejected (`errors`)",
    413: "The body is larger than 1 MiB, before or after decompression",
    415: "Unsupported content type or encoding; use JSON, and gzip if compressed",
    503: "Kafka did not acknowledge within 5 s, or too much is waiting for it: send the same request again",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ProductReceipt,
        "description": "Result of the dry run; nothing was stored",
        "content": {"application/json": {"example": {**RECEIPT, "dry_run": True}}},
    },
    202: {
        "description": "The accepted products are in Kafka",
        "content": {"application/json": {"example": RECEIPT}},
    },
    **describe_problems(_STATUSES),
    400: {"model": ProductsProblem, "description": _STATUSES[400]},
}
