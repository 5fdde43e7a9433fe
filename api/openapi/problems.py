"""Examples of the OpenAPI document: problems by status, and a parameter of many paths."""

from typing import Any

_REQUEST_ID = "2e7234a5aa284421a95ec4855aa78760"

PARAMETERS: dict[str, Any] = {"limit": 10}


def _problem(status: int, title: str, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:storepulse:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": _REQUEST_ID,
    }


PROBLEMS: dict[str, Any] = {
    str(status): _problem(status, title, code, detail)
    for status, title, code, detail in (
        (
            400,
            "Bad Request",
            "body.not_json",
            "the body must be UTF-8 JSON; there is an error at line 1, column 2",
        ),
        (401, "Unauthorized", "key.missing", "a key is required: Authorization: Bearer <key>"),
        (403, "Forbidden", "key.scope", "this key lacks the scope alerts:read"),
        (404, "Not Found", "alert.unknown", "no alert with this id is stored"),
        (409, "Conflict", "alert.ended", "the alert has ended"),
        (408, "Request Timeout", "body.timeout", "the body must be sent within 10 s"),
        (413, "Request Entity Too Large", "body.too_large", "the body must be at most 1048576 bytes"),
        (415, "Unsupported Media Type", "content_type.unsupported", "Content-Type must be application/json"),
        (422, "Unprocessable Entity", "limit.too_large", "limit should be less than or equal to 100"),
        (429, "Too Many Requests", "rate.exceeded", "this key sends too fast; try again"),
        (503, "Service Unavailable", "redis.unavailable", "Redis does not answer; try again"),
    )
}
