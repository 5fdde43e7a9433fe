"""The OpenAPI document as a whole: what it says of the API, and what all operations have in common."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from fastapi import FastAPI

from api.openapi.links import add_links
from api.openapi.nulls import restore_nulls
from api.openapi.problems import PARAMETERS, PROBLEMS
from api.resource import Documentation, Resource

Document = dict[str, Any]
T = TypeVar("T")

TITLE = "Storepulse"
DESCRIPTION = """What shoppers do right now, and what to do about it.

Storefronts send events; marketing systems and dashboards read and subscribe. Times are RFC 3339 in UTC; money
is in minor units and as a decimal. Every error is a problem document (RFC 9457) with a stable `code`; `type`
identifies it. Every answer has the id of its request in `X-Request-Id`; if the request has one (8 to 64 of
`A-Z a-z 0-9 _ -`), it is kept.

Not available yet: demand forecasts, stock alerts and segments."""
VERSION = "1"
_METHODS = frozenset(("get", "put", "post", "delete", "patch"))
_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_PROBLEM_REF = "#/components/schemas/Problem"
_REPLACED = ("HTTPValidationError", "ValidationError", "ProblemDocument")
_REQUEST_ID = {
    "description": "Id of this request, also in the log",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
}
_OF_PARAMETERS = {"422": "A parameter is invalid or unknown"}
_OF_BODIES = {"408": "The body was not received within 10 s", "413": "The body is larger than 1 MiB"}
_PROBLEM: Document = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457); `code` is stable, `type` identifies it",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "pattern": "^[a-z0-9_]+(\\.[a-z0-9_]+)*$"},
        "detail": {"type": "string", "description": "What is expected; never contains the value sent"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "The broken rules",
            "items": {"$ref": "#/components/schemas/BrokenRule"},
        },
    },
}


_EVENT: Document = {
    "type": "object",
    "title": "ServerSentEvent",
    "description": "One server-sent event; `data` is JSON",
    "required": ["data"],
    "properties": {
        "event": {"type": "string"},
        "id": {"type": "string", "description": "Send it as the header Last-Event-ID to continue after it"},
        "retry": {"type": "integer", "minimum": 0, "description": "Milliseconds to wait before reconnecting"},
        "data": {"type": "string"},
    },
}

# Of an event alone generators would make a client that reads the whole stream as one JSON document.
_STREAM: Document = {
    "title": "EventStream",
    "description": "Server-sent events, as text",
    "oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/ServerSentEvent"}],
}


def install_document(app: FastAPI, resources: Iterable[Resource]) -> None:
    """Completes the app's document; to be called after every other change of it."""
    make, documentation = app.openapi, _put_together([resource.documentation for resource in resources])

    def openapi() -> Document:
        document = make()
        if "servers" not in document:
            complete(document, documentation)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI would have it extended


def complete(document: Document, documentation: Documentation) -> None:
    """Adds to FastAPI's document what it cannot know."""
    document["info"] |= {"license": _LICENSE, "summary": "Live sessions, carts, demand and alerts of a shop"}
    document["servers"] = [{"url": "/", "description": "The server that returned this document"}]
    document["tags"] = [{"name": name, "description": text} for name, text in documentation.tags.items()]
    schemas = document["components"]["schemas"]
    for name in _REPLACED:
        schemas.pop(name, None)
    restore_nulls(schemas)
    schemas |= {
        "Problem": _PROBLEM,
        "ServerSentEvent": _EVENT,
        "EventStream": _STREAM,
        **documentation.schemas,
    }
    for name in (name for name in schemas if name.endswith("Problem")):
        schemas[name]["properties"] = {**_PROBLEM["properties"], **schemas[name]["properties"]}
    document["components"]["headers"] = {"X-Request-Id": _REQUEST_ID}
    document["components"]["examples"] = {f"problem-{s}": {"value": value} for s, value in PROBLEMS.items()}
    for path, operation in list_operations(document):
        _add_statuses(path, operation)
        for parameter in operation.get("parameters", []):
            _show_parameter(parameter, documentation)
        for kind in operation.get("requestBody", {}).get("content", {}).values():
            _show_optional_body(kind, schemas)
        for status, answer in operation["responses"].items():
            _describe_answer(status, answer, schemas, documentation.answers.get(operation["operationId"]))
    add_links(document, documentation.links)
    _speak_to_generators(document)


def _speak_to_generators(value: Any) -> None:
    """Says the same in ways that generators of clients understand.

    An integer may have 64 bits: without a word on it typed languages take 32, into which sums of money and
    epoch ms do not fit. Of `additionalProperties: false` some make clients that send more properties.
    """
    if isinstance(value, dict):
        if value.get("type") == "integer":
            value.setdefault("format", "int64")
        if value.get("additionalProperties") is False:
            del value["additionalProperties"]
            value["unevaluatedProperties"] = False
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            _speak_to_generators(part)


def _put_together(parts: Iterable[Documentation]) -> Documentation:
    """What all resources say; raises `ValueError` if two say something of one operation or schema."""
    parts = list(parts)
    return Documentation(
        tags=_join(part.tags for part in parts),
        answers=_join(part.answers for part in parts),
        schemas=_join(part.schemas for part in parts),
        parameters=_join(part.parameters for part in parts),
        path_schemas=_join(part.path_schemas for part in parts),
        links=[link for part in parts for link in part.links],
    )


def _join(tables: Iterable[Mapping[str, T]]) -> dict[str, T]:
    joined: dict[str, T] = {}
    for table in tables:
        if twice := joined.keys() & table.keys():
            raise ValueError(f"two resources document {', '.join(sorted(twice))}")
        joined |= table
    return joined


def list_operations(document: Document) -> Iterator[tuple[str, Document]]:
    """Path and operation, all of them."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, operation


def _add_statuses(path: str, operation: Document) -> None:
    texts = {} if operation["tags"] == ["operations"] else dict(_OF_PARAMETERS)
    if "requestBody" in operation:
        texts |= _OF_BODIES
    if "{" in path:
        texts["404"] = "Ids in paths cannot contain line breaks"
    for status, text in texts.items():
        operation["responses"].setdefault(status, {"description": text})
    if operation["responses"].get("422", {}).get("description") == "Validation Error":
        operation["responses"]["422"]["description"] = _OF_PARAMETERS["422"]
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _show_parameter(parameter: Document, documentation: Documentation) -> None:
    name = parameter["name"]
    if parameter["in"] == "path":
        parameter["schema"] |= documentation.path_schemas.get(name, {})
    example = documentation.parameters.get(name, PARAMETERS.get(name))
    if example is not None and not {"example", "examples"} & parameter.keys():
        parameter["example"] = example


def _show_optional_body(kind: Document, schemas: Document) -> None:
    """Of a body that may be absent, whose schema is one of two, the example stands with the first."""
    first = kind.get("schema", {}).get("anyOf", [{}])[0]
    known = schemas.get(str(first.get("$ref", "")).rpartition("/")[2], {}).get("examples", [])
    if known and not {"example", "examples"} & kind.keys():
        kind["example"] = known[0]


def _describe_answer(status: str, answer: Document, schemas: Document, example: Any) -> None:
    answer.setdefault("headers", {})["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
    if status >= "400" and not _is_state(answer):
        content = answer.pop("content", {})
        kinds = [*content.values(), {}]
        schema = kinds[0].get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        kept = schema if name in schemas else {"$ref": _PROBLEM_REF}
        answer["content"] = {"application/problem+json": {**kinds[0], "schema": kept}}
        if status in PROBLEMS and not {"example", "examples"} & kinds[0].keys():
            problem = {"$ref": f"#/components/examples/problem-{status}"}
            answer["content"]["application/problem+json"]["examples"] = {"problem": problem}
        return
    for media_type, kind in answer.get("content", {}).items():
        if media_type == "text/event-stream":
            kind.pop("example", None)
            kind["schema"] = {"$ref": "#/components/schemas/EventStream"}
        if example is not None and not {"example", "examples"} & kind.keys():
            kind["example"] = example


def _is_state(answer: Document) -> bool:
    """Whether the answer is a state that is not well, rather than an error: readiness and the like."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2] in ("Readiness", "Startup")
