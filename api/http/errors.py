"""Errors as RFC 9457 `application/problem+json` with stable codes; nothing of the request is repeated."""

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from api.http.request_log import REQUEST_ID
from connections.redis_health import RedisHealth

_CODES = {
    400: "body.not_json",  # the framework's own answer to a body it cannot read
    404: "path.unknown",
    405: "method.not_allowed",
    408: "body.timeout",
    413: "body.too_large",
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_RULES = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "int_parsing": "not_integer",
    "int_parsing_size": "not_integer",
    "int_type": "not_integer",
    "int_from_float": "not_integer",
    "bool_parsing": "not_boolean",
    "string_type": "not_text",
    "string_unicode": "not_text",
    "model_type": "not_object",
    "model_attributes_type": "not_object",
    "dict_type": "not_object",
    "greater_than": "too_small",
    "greater_than_equal": "too_small",
    "less_than_equal": "too_large",
    "literal_error": "not_allowed",
    "enum": "not_allowed",
    "string_too_long": "too_long",
    "string_too_short": "blank",
    "string_pattern_mismatch": "not_matching",
    "list_type": "not_list",
    "too_long": "too_long",
    "too_short": "too_short",
    "float_type": "not_number",
    "float_parsing": "not_number",
    "finite_number": "not_finite",
    "bool_type": "not_boolean",
}
"""Our names for the rules of pydantic that the routes use."""
_OTHER_RULE = "invalid"


_REDIS_DETAILS = {
    "full": "Redis is full; try again",
    "read_only": "Redis does not accept writes; try again",
    "disk": "Redis does not accept writes; try again",
    "loading": "Redis is starting; try again",
    "no_right": "Redis denies access; its operator must fix this",
    "no_password": "Redis denies access; its operator must fix this",
    "wrong_password": "Redis denies access; its operator must fix this",
}
"""What those who ask are told of some troubles; the log and `/readyz` tell whoever runs this the rest."""


class Problem(Exception):
    """An answer that is an error; `code` is stable, `detail` is for people."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.errors = errors


class Refused(HTTPException):
    """A `Problem` raised while a body comes in; of all errors the framework lets only this kind through."""

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status.value, detail, headers)
        self.code = code


class ErrorAnswer(NamedTuple):
    """The answer to an error of the domain, whose message is the detail."""

    status: HTTPStatus
    code: str
    headers: dict[str, str] | None = None


class InvalidQuery(ValueError):
    """A parameter that breaks a rule; `detail` says what it must be, never what came."""

    def __init__(self, field: str, rule: str, detail: str) -> None:
        super().__init__(f"{field}.{rule}: {field} {detail}")
        self.field = field
        self.rule = rule
        self.detail = detail


def problem_response(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: Sequence[dict[str, Any]] = (),
) -> JSONResponse:
    """The problem document; `errors` names each broken rule of the request."""
    document: dict[str, Any] = {
        "type": f"urn:storepulse:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
    }
    if request_id := REQUEST_ID.get():
        document["request_id"] = request_id
    if errors:
        document["errors"] = list(errors)
    return JSONResponse(
        document,
        status_code=status.value,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )


def internal_problem() -> JSONResponse:
    """The answer to a mistake of ours."""
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "internal error; see the server's log"
    )


def install_errors(app: FastAPI) -> None:
    """Makes every error of the app a problem document."""
    health = RedisHealth()

    @app.exception_handler(Problem)
    async def _on_problem(_: Request, exc: Problem) -> JSONResponse:
        return problem_response(exc.status, exc.code, exc.detail, headers=exc.headers, errors=exc.errors)

    @app.exception_handler(InvalidQuery)
    async def _on_invalid_query(_: Request, exc: InvalidQuery) -> JSONResponse:
        return _invalid([{"field": exc.field, "rule": exc.rule, "detail": f"{exc.field} {exc.detail}"}])

    @app.exception_handler(RequestValidationError)
    async def _on_validation(_: Request, exc: RequestValidationError) -> JSONResponse:
        errors = exc.errors()
        if errors[0]["type"] == "json_invalid":
            return problem_response(HTTPStatus.BAD_REQUEST, "body.not_json", "the body must be JSON")
        return _invalid(_first_of_each([_to_error(error) for error in errors]))

    @app.exception_handler(HTTPException)
    async def _on_http(request: Request, exc: HTTPException) -> JSONResponse:
        status = HTTPStatus(exc.status_code)
        headers = dict(exc.headers or {})
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_list_allowed(request))
        if isinstance(exc, Refused):
            return problem_response(status, exc.code, exc.detail, headers=headers)
        code = _CODES.get(exc.status_code, f"http.{exc.status_code}")
        return problem_response(status, code, status.description, headers=headers)

    @app.exception_handler(RedisError)
    async def _on_redis(_: Request, exc: RedisError) -> JSONResponse:
        trouble = health.failed(exc)
        if trouble.code == "wrong_type":
            return problem_response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "state.spoiled",
                "a value in Redis cannot be read; its operator must fix this",
            )
        return problem_response(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "redis.unavailable",
            _REDIS_DETAILS.get(trouble.code, "Redis does not answer; try again"),
            headers={"Retry-After": "1"},
        )


def translate_errors(app: FastAPI, answers: Mapping[type[Exception], ErrorAnswer]) -> None:
    """Makes errors of the domain, which knows no HTTP, problem documents."""
    for error, answer in answers.items():
        app.add_exception_handler(error, partial(_answer_error, answer))


async def _answer_error(answer: ErrorAnswer, _: Request, exc: Exception) -> JSONResponse:
    return problem_response(answer.status, answer.code, str(exc), headers=answer.headers)


def _invalid(errors: list[dict[str, str]]) -> JSONResponse:
    first = errors[0]
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['field']}.{first['rule']}", first["detail"], errors=errors
    )


def _list_allowed(request: Request) -> list[str]:
    """The methods of this path; the framework names those of one route, though others may share the path."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


def _first_of_each(errors: list[dict[str, str]]) -> list[dict[str, str]]:
    """One error per field: a union of types has one for each of its members."""
    firsts: dict[str, dict[str, str]] = {}
    for error in errors:
        firsts.setdefault(error["field"], error)
    return list(firsts.values())


def name_rule(kind: str) -> str:
    """Our name for a rule of pydantic."""
    return _RULES.get(kind, _OTHER_RULE)


def _name_field(place: Sequence[str | int]) -> str:
    """The parameter or member of the body that is meant; what follows it are places and types within."""
    return str(place[1] if len(place) > 1 else place[0]).lower().replace("-", "_")


def _to_error(error: dict[str, Any]) -> dict[str, str]:
    kind = error["type"]
    if kind == "extra_forbidden":  # the parameter's name is the sender's text
        if error["loc"][0] == "body":
            return {
                "field": "body",
                "rule": "unknown_field",
                "detail": "body has an unknown field",
            }
        return {
            "field": "query",
            "rule": "unknown",
            "detail": "query has an unknown parameter",
        }
    field = _name_field(error["loc"])
    detail = str(error["msg"]).removeprefix("Input ").removeprefix("String ")
    return {"field": field, "rule": name_rule(kind), "detail": f"{field} {detail}"}
