"""How much the application takes at once: requests under way, bytes of a body, seconds until it is there."""

import asyncio
import contextlib
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.bodies import MAX_BODY_BYTES, READ_TIMEOUT_S
from api.http.errors import problem_response

UNLIMITED = frozenset(("/livez", "/readyz", "/startupz", "/metrics"))
"""Paths that answer however much is going on: whoever watches must see it."""
REFUSED = "connection_refused"
"""The key in the scope's state by which a server says that it has too many connections."""

_MOMENT_S = 0.05
_LINGER_S = 1.0
_LINGER_BYTES = 8 * MAX_BODY_BYTES


class Load:
    """Requests that one process has under way, and the most it takes. Event streams are not counted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0

    @property
    def is_full(self) -> bool:
        """Whether the next request is one too many."""
        return self.under_way >= self.limit


class LoadShedding:
    """Answers 503 `server.busy` to what is one too many.

    Bodies are limited whatever route reads them. An answer that comes before the whole body closes the
    connection, which could be kept busy for ever otherwise; what the client still sends is taken and dropped
    for a moment, since a closed socket with unread data is a reset: the client would never see the answer.
    """

    def __init__(self, app: ASGIApp, load: Load) -> None:
        self._app = app
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; only HTTP requests are touched."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        load = self._load
        if scope.get("state", {}).get(REFUSED) or load.is_full:
            await _busy(scope, receive, send)
            return
        body = _Body(receive, scope)
        is_counted = True
        load.under_way += 1

        async def send_on(message: Message) -> None:
            nonlocal is_counted
            if message["type"] == "http.response.start":
                if is_counted and _is_stream(message):
                    is_counted = False
                    load.under_way -= 1
                if not body.is_complete and not await body.drop_rest(_MOMENT_S):
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            elif not message.get("more_body") and not body.is_complete:
                await send({**message, "more_body": True})
                await body.drop_rest(_LINGER_S)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._app(scope, body.receive, send_on)
        finally:
            if is_counted:
                load.under_way -= 1


class _Body:
    """The body of one request on its way in."""

    def __init__(self, receive: Receive, scope: Scope) -> None:
        names = {name for name, _ in scope["headers"]}  # in lower case, says ASGI
        self._is_waiting = b"expect" in names  # the client sends its body once somebody asks for it
        self._receive = receive
        self._deadline_s = asyncio.get_running_loop().time() + READ_TIMEOUT_S
        self._n_bytes = 0
        self.is_complete = not names & {b"content-length", b"transfer-encoding"}

    async def receive(self) -> Message:
        """The next message; raises 408 or 413 as `HTTPException`, which the framework lets through."""
        if self.is_complete:
            return await self._receive()
        self._is_waiting = False
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._take()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        if self._n_bytes > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    async def drop_rest(self, patience_s: float) -> bool:
        """Takes what still comes; True if that was all of it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not (self.is_complete or self._is_waiting) and self._n_bytes < _LINGER_BYTES:
                    await self._take()
        return self.is_complete

    async def _take(self) -> Message:
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)
        return message


def _is_stream(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message["headers"]
    )


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "server.busy",
        "too many requests at once; try again",
        headers={"Retry-After": "1", "Connection": "close"},
    )
    await answer(scope, receive, send)
