"""What direct routes do themselves that FastAPI does for others: query strings, and answers as bytes."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)

NO_STORE = {"Cache-Control": "no-store"}
_JSON = "application/json"


def read_query(request: Request, model: type[Query]) -> Query:
    """The parameters of a request, each of which comes once; raises `RequestValidationError`."""
    try:
        text = request.scope["query_string"].decode("latin-1")
        return model.model_validate(dict(parse_qsl(text, keep_blank_values=True)) if text else {})
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**error, "loc": ("query", *error["loc"])} for error in errors]
        ) from exc


def describe_query(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters as the OpenAPI document has them: what a direct route gives in `openapi_extra`.

    Enumerations are those that the answers show.
    """
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return [
        _parameter(name, "query", field, is_required=False) for name, field in schema["properties"].items()
    ]


def describe_path(name: str, **schema: Any) -> dict[str, Any]:
    """A parameter in the path of a direct route."""
    return _parameter(name, "path", {"type": "string", **schema}, is_required=True)


def to_json_response(fields: dict[str, Any]) -> Response:
    """Plain values, whose shape the route's `response_model` tells, as JSON that no cache keeps."""
    return Response(orjson.dumps(fields, option=orjson.OPT_UTC_Z), 200, NO_STORE, _JSON)


def _parameter(name: str, where: str, schema: dict[str, Any], *, is_required: bool) -> dict[str, Any]:
    schema = dict(schema)
    description = schema.pop("description", None)
    told = {} if description is None else {"description": description}
    return {"name": name, "in": where, "required": is_required, "schema": schema, **told}
