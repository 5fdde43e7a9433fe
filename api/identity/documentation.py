"""How the OpenAPI document shows which routes need a key, of which scope, and what they answer without it."""

from typing import Any

from fastapi import FastAPI

from api.identity.guard import MARK

_METHODS = frozenset(("get", "put", "post", "delete", "patch", "head"))
_SCHEMES: dict[str, dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key: sk_live_..., or pk_, ak_, wk_"},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as user name, without a password"},
}
_IN_QUERY = "key_in_query"
_TEXTS = {
    "401": "No key, or one that is unknown, expired or revoked (`key.*`)",
    "403": "The key lacks the scope (`key.scope`) or may not be used from this origin (`key.origin`)",
    "429": "The key's rate limit or quota is used up (`rate.exceeded`, `quota.spent`)",
    "503": "A required service does not answer, or too many requests are in progress",
}
_CHALLENGE = {"description": "How to authenticate", "schema": {"type": "string"}}
_RETRY = {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}
_HEADERS = {
    "401": {"WWW-Authenticate": _CHALLENGE},
    "429": {"Retry-After": _RETRY},
    "503": {"Retry-After": _RETRY},
}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457); `code` is stable",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def document_access(app: FastAPI) -> None:
    """Has the app's document show keys on every guarded route; to be called before it is asked for."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        if "Problem" not in document.setdefault("components", {}).setdefault("schemas", {}):
            _rewrite(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI would have it extended


def _rewrite(document: dict[str, Any]) -> None:
    components = document["components"]
    components["schemas"]["Problem"] = _PROBLEM
    schemes = components["securitySchemes"] = dict(_SCHEMES)
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in _METHODS and operation.get("security"):
                _describe(operation, schemes)


def _describe(operation: dict[str, Any], schemes: dict[str, dict[str, Any]]) -> None:
    """Replaces the mark by the schemes, and adds the answers of the guard that the route leaves out."""
    (mark,) = operation["security"][0]
    scope, _, parameter = mark.removeprefix(MARK).partition("?")
    ways = list(_SCHEMES)
    if parameter:
        schemes[_IN_QUERY] = {"type": "apiKey", "in": "query", "name": parameter}
        ways.append(_IN_QUERY)
    operation["security"] = [{way: [scope]} for way in ways]
    operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
    for status, text in _TEXTS.items():
        answer = operation["responses"].setdefault(status, {"description": text})
        answer.setdefault("headers", {}).update(_HEADERS.get(status, {}))
        schema = {"$ref": "#/components/schemas/Problem"}
        answer.setdefault("content", {"application/problem+json": {"schema": schema}})
