"""How the OpenAPI document shows a body that is a JSON object, and the answers that refuse one."""

from collections.abc import Mapping
from typing import Any

from readers.answers import Answer

_STATUSES = {
    400: "The body is not a JSON object",
    408: "The body was not received within 10 s",
    413: "The body is larger than 1 MiB",
    415: "Unsupported content type, or a compressed body",
}


def describe_body(schema: str, examples: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """The `requestBody` of an operation. Each of the examples has a summary and a value."""
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{schema}"},
                "examples": {
                    name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()
                },
            },
        },
    }


def describe_refusals(model: type[Answer], texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: why it refuses any such body, and what `texts` says of other statuses."""
    return {status: {"model": model, "description": text} for status, text in {**_STATUSES, **texts}.items()}
