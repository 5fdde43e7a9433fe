"""How much the application takes at once: requests under way, bytes of a body, seconds until it is there."""

import asyncio
import contextlib
import types
from collections.abc import Generator
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.bodies import MAX_BODY_BYTES, READ_TIMEOUT_S
from api.http.errors import Refused, problem_response
from api.http.slow_bodies import PATIENCE_S, SlowBodies, SlowPlace

UNLIMITED = frozenset(("/livez", "/readyz", "/startupz", "/metrics"))
"""Paths that answer however much is going on: whoever watches must see it."""
REFUSED = "connection_refused"
"""The key in the scope's state by which a server says that it has too many connections."""

_MOMENT_S = 0.05
_LINGER_S = 1.0
_LINGER_BYTES = 8 * MAX_BODY_BYTES
_BUSY = "too many requests at once; try again"
_RETRY = {"Retry-After": "1"}


class Load:
    """Requests that one process has under way, and the most it takes.

    Neither event streams are counted nor requests that wait for their client.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0

    @property
    def is_full(self) -> bool:
        """Whether the next request is one too many."""
        return self.under_way >= self.limit


class _Slot:
    """The place of one request among those under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._is_held = False
        self._is_needed = True

    def take(self) -> None:
        """Counts the request, unless it is counted."""
        if self._is_needed and not self._is_held:
            self._is_held = True
            self._load.under_way += 1

    def leave(self, *, for_good: bool = False) -> None:
        """Counts it no more."""
        self._is_needed = self._is_needed and not for_good
        if self._is_held:
            self._is_held = False
            self._load.under_way -= 1

    @property
    def is_lacking(self) -> bool:
        """Whether it needs a place and there is none."""
        return self._is_needed and not self._is_held and self._load.is_full


class LoadShedding:
    """Answers 503 `server.busy` to what is one too many.

    Bodies are limited whatever route reads them. While the rest of one is waited for, its request has no
    place among those under way: a client that sends nothing more must not take it from others. An answer that
    comes before the whole body closes the connection, which could be kept busy for ever otherwise; what the
    client still sends is taken and dropped for a moment, since a closed socket with unread data is a reset:
    the client would never see the answer.
    """

    def __init__(self, app: ASGIApp, load: Load, slow_bodies: SlowBodies) -> None:
        self._app = app
        self._load = load
        self._slow_bodies = slow_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; only HTTP requests are touched."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED:
            await self._app(scope, receive, send)
            return
        if scope.get("state", {}).get(REFUSED) or self._load.is_full:
            await _busy(scope, receive, send)
            return
        slot = _Slot(self._load)
        body = _Body(receive, scope, slot, self._slow_bodies)
        slot.take()

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                if _is_stream(message):
                    slot.leave(for_good=True)
                if not body.is_complete and not await body.drop_rest(_MOMENT_S):
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
                slot.take()
            elif not message.get("more_body") and not body.is_complete:
                await send({**message, "more_body": True})
                await body.drop_rest(_LINGER_S)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._app(scope, body.receive, send_on)
        finally:
            body.close()
            slot.leave()


class _Body:
    """The body of one request on its way in. Whoever waits for it leaves the slot."""

    def __init__(self, receive: Receive, scope: Scope, slot: _Slot, slow_bodies: SlowBodies) -> None:
        names = {name for name, _ in scope["headers"]}  # in lower case, says ASGI
        self._is_waiting = b"expect" in names  # the client sends its body once somebody asks for it
        self._receive = receive
        self._scope = scope
        self._slot = slot
        self._slow_bodies = slow_bodies
        self._place: SlowPlace | None = None
        self._started_s = asyncio.get_running_loop().time()
        self._n_bytes = 0
        self.is_complete = not names & {b"content-length", b"transfer-encoding"}

    async def receive(self) -> Message:
        """The next message.

        Raises 408, 413 or 503 as `HTTPException`, which the framework lets through.
        """
        if self.is_complete:
            return await self._receive()
        self._is_waiting = False
        self._slot.leave()
        message = await self._await_next()
        if self._n_bytes > MAX_BODY_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self.is_complete:
            self.close()
            if self._slot.is_lacking:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "server.busy", _BUSY, headers=_RETRY)
            self._slot.take()
        return message

    async def drop_rest(self, patience_s: float) -> bool:
        """Takes what still comes; True if that was all of it."""
        self._slot.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while not (self.is_complete or self._is_waiting) and self._n_bytes < _LINGER_BYTES:
                    await self._take()
        return self.is_complete

    def close(self) -> None:
        """Leaves the place of a slow body, if it has one."""
        if self._place is not None:
            self._slow_bodies.leave(self._place)
            self._place = None

    async def _await_next(self) -> Message:
        """What comes within the patience for every body, then within that for slow ones."""
        if self._place is None:
            receiving = self._receive().__await__()
            try:
                wait = next(receiving)
            except StopIteration as end:  # it is there already, as most are: to set a timer costs 6 us
                return self._count(end.value)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._started_s + PATIENCE_S):
                    return self._count(await _go_on(receiving, wait))
            client = self._scope.get("client") or ("",)
            key_id = self._scope["state"].get("key_id", "")
            self._place = self._slow_bodies.enter(client[0], key_id, self._n_bytes)
        try:
            async with asyncio.timeout_at(self._started_s + READ_TIMEOUT_S):
                message = await self._take()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        self._slow_bodies.add(self._place, len(message.get("body", b"")))
        return message

    async def _take(self) -> Message:
        return self._count(await self._receive())

    def _count(self, message: Message) -> Message:
        self._n_bytes += len(message.get("body", b""))
        self.is_complete = not message.get("more_body", False)
        return message


@types.coroutine
def _go_on(receiving: Generator[Any, None, Message], wait: Any) -> Generator[Any, None, Message]:
    """The message of a call that has begun and waits for `wait`."""
    try:
        yield wait
    except BaseException:
        receiving.close()
        raise
    return (yield from receiving)


def _is_stream(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message["headers"]
    )


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {**_RETRY, "Connection": "close"}
    answer = problem_response(HTTPStatus.SERVICE_UNAVAILABLE, "server.busy", _BUSY, headers=headers)
    await answer(scope, receive, send)
