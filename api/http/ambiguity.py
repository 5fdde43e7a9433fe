"""Requests that can be read in two ways are refused: somebody else may read them the other way."""

from collections import Counter
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import Refused, problem_response
from contracts.json_content import NotJson, read_json, repeats_field

_SINGLE = frozenset(
    (b"content-type", b"content-encoding", b"idempotency-key", b"last-event-id", b"origin", b"x-sent-at")
)
"""Headers of which a request has one. The server itself refuses two of `Host` or `Content-Length`."""


class UnambiguousRequests:
    """Refuses what comes twice and may come once: parameters, headers, fields of JSON.

    Routes that take lists judge each element on its own, so their bodies are left to them. Foreign ones, for
    senders of other systems, take parameters that mean nothing here, and look at those that do themselves.
    """

    def __init__(
        self, app: ASGIApp, list_paths: Collection[str], foreign_paths: Collection[str] = ()
    ) -> None:
        self._app = app
        self._list_paths = list_paths
        self._foreign_paths = foreign_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; only HTTP requests are touched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] not in self._foreign_paths and _repeats_parameter(scope["query_string"]):
            await _refuse_parameter()(scope, receive, send)
        elif (name := _find_repeated_header(scope["headers"])) is not None:
            await _refuse_header(name)(scope, receive, send)
        elif scope["method"] == "GET" or scope["path"] in self._list_paths:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, _checking(receive), send)


def _repeats_parameter(query: bytes) -> bool:
    if b"&" not in query:
        return False
    names = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    return len(set(names)) != len(names)


def _find_repeated_header(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The name of a header that comes with two values, though it has one."""
    names = [name for name, _ in headers]
    if len(set(names)) == len(names):
        return None
    repeated = {name for name, count in Counter(names).items() if count > 1} & _SINGLE
    for name in sorted(repeated):
        if len({value for other, value in headers if other == name}) > 1:
            return name.decode()
    return None


def _checking(receive: Receive) -> Receive:
    """Receives a body, and raises `Refused` at its end if an object in it has the same field twice."""
    body = bytearray()

    async def receive_checked() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            body.extend(message.get("body", b""))
            if body and not message.get("more_body", False):
                _check_json(bytes(body))
                body.clear()
        return message

    return receive_checked


def _check_json(body: bytes) -> None:
    try:
        content = read_json(body)
    except NotJson:  # for the route to refuse
        return
    if not content.is_plain and repeats_field(content.value):
        raise Refused(
            HTTPStatus.BAD_REQUEST, "body.repeated_field", "an object in the body has the same field twice"
        )


def _refuse_parameter() -> JSONResponse:
    detail = "query has the same parameter twice"
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "query.repeated",
        detail,
        errors=[{"field": "query", "rule": "repeated", "detail": detail}],
    )


def _refuse_header(name: str) -> JSONResponse:
    return problem_response(
        HTTPStatus.BAD_REQUEST, "header.repeated", f"the header {name} must be sent only once"
    )
