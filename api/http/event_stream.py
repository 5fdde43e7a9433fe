"""An answer of server-sent events that counts as a connection, and ends for clients that do not read."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.http.connection_limiter import ConnectionLimiter
from api.http.metrics import ApiMetrics

_log = logging.getLogger(__name__)

PING_S = 15
_ABORT_S = 1.0


class EventStreamResponse(EventSourceResponse):
    """Counts as a connection at once, and drops a client that does not read for `send_timeout_s`.

    The connection is the answer's and not the generator's, which may never be started and then never ends.
    """

    def __init__(
        self,
        events: AsyncIterator[bytes],
        key_id: str,
        limiter: ConnectionLimiter,
        metrics: ApiMetrics,
        send_timeout_s: float,
    ) -> None:
        super().__init__(
            events,
            headers={"Cache-Control": "no-store"},
            ping=PING_S,
            ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
            sep="\n",
            send_timeout=send_timeout_s,
        )
        self._key_id = key_id
        self._limiter = limiter
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until client, process or subscription end; raises `Problem` 429 or 503."""
        with self._limiter.hold(self._key_id):
            self._metrics.set_streams(self._limiter.n_open)
            try:
                await super().__call__(scope, receive, send)
            except SendTimeoutError:
                self._metrics.count_dropped_stream()
                _log.info("closed an event stream: its client does not read")
                await _abort(receive)
        self._metrics.set_streams(self._limiter.n_open)


async def _abort(receive: Receive) -> None:
    """Cuts the connection: closed as usual, it would wait for this client to read what is buffered."""
    owner: Any = getattr(receive, "__self__", None)
    while owner is not None and not hasattr(owner, "transport"):  # layers between the server and us
        owner = getattr(getattr(owner, "_receive", None), "__self__", None)
    if owner is None:
        return
    owner.transport.abort()
    try:
        async with asyncio.timeout(_ABORT_S):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
