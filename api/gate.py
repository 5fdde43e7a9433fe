"""How much the application takes at once: requests under way, bytes of a body, seconds until it is there."""

import asyncio
import contextlib
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_response
from api.intake import MAX_BODY_BYTES, READ_TIMEOUT_S

UNLIMITED = frozenset(("/livez", "/readyz", "/startupz", "/metrics"))
"""Paths that answer however much is going on: whoever watches must see it."""
REFUSED = "connection_refused"
"""The key in the scope's state by which a server says that it has too many connections."""

_LINGER_S = 1.0
_LINGER_BYTES = 8 * MAX_BODY_BYTES
_CLOSE = {"Connection": "close"}


class Gate:
    """Answers 503 `server.busy` beyond `max_requests` under way; event streams are not counted.

    Bodies are limited whatever route reads them. After an early answer that closes the connection, what the
    client still sends is taken and dropped for a moment: a closed socket with unread data is a reset, and the
    client would never see the answer.
    """

    def __init__(self, app: ASGIApp, max_requests: int) -> None:
        self._app = app
        self._max_requests = max_requests
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; only HTTP requests are touched."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        if scope.get("state", {}).get(REFUSED) or self._under_way >= self._max_requests:
            await _busy(scope, receive, send)
            return
        body = _Body(receive)
        is_counted = True
        self._under_way += 1

        async def send_on(message: Message) -> None:
            nonlocal is_counted
            if message["type"] == "http.response.start":
                if is_counted and _is_stream(message):
                    is_counted = False
                    self._under_way -= 1
                body.is_last = _closes(message)
            elif not message.get("more_body") and body.is_last and not body.is_complete:
                await send({**message, "more_body": True})
                await body.drop_rest()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._app(scope, body.receive, send_on)
        finally:
            if is_counted:
                self._under_way -= 1


class _Body:
    """The body of one request on its way in. `is_last` says that the connection ends with the answer."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline_s = asyncio.get_running_loop().time() + READ_TIMEOUT_S
        self._n_bytes = 0
        self.is_complete = False
        self.is_last = False

    async def receive(self) -> Message:
        """The next message; raises 408 or 413 as `HTTPException`, which the framework lets through."""
        if self.is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._take()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, headers=_CLOSE) from None
        if self._n_bytes > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, headers=_CLOSE)
        return message

    async def drop_rest(self) -> None:
        """Takes what still comes, for about a second."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while not self.is_complete and self._n_bytes < _LINGER_BYTES:
                    await self._take()

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


def _closes(message: Message) -> bool:
    return any(
        name.lower() == b"connection" and value.lower() == b"close" for name, value in message["headers"]
    )


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "server.busy",
        "too many requests at once; try again",
        headers={"Retry-After": "1", **_CLOSE},
    )
    await answer(scope, receive, send)
