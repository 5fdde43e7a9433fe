"""Alerts as server-sent events: what one client is sent, and the answer that sends it."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from redis.exceptions import RedisError
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.http.connection_limiter import ConnectionLimiter
from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.resources.alerts.feed import AlertFeed, Entry, FeedPage
from readers.alerts.log import AlertFilter, Cursor

_log = logging.getLogger(__name__)

RETRY_MS = 2_000
PING_S = 15
GAP_S = 0.25
"""Shortest time between two writes to a client: a generator that never waits starves the whole process."""
_REDIS_RETRY_S = 1.0
_ABORT_S = 1.0


class Subscription(NamedTuple):
    """What one client wants: steps behind the cursor, for at most `max_age_s`, a few per cent more or less.

    `is_welcome` says whether its key still counts; it is asked before every write.
    """

    wanted: AlertFilter
    cursor: Cursor
    max_age_s: float
    is_welcome: Callable[[], Awaitable[bool]]


async def make_events(
    feed: AlertFeed, subscription: Subscription, closing: asyncio.Event
) -> AsyncIterator[bytes]:
    """Blocks of events, until the process closes or the stream is old; the client then comes again.

    The cursor goes on past steps that are filtered out, and the client is told its id, so that it neither
    reads them again nor is reset when they are no longer kept.
    """
    wanted, cursor, max_age_s, is_welcome = subscription
    loop = asyncio.get_running_loop()
    end_s = loop.time() + max_age_s * random.uniform(0.9, 1.1)  # not all at once
    yield f"retry: {RETRY_MS}\n{_write_cursor(cursor)}".encode()
    while not closing.is_set() and loop.time() < end_s:
        notification = feed.notification
        try:
            if not await is_welcome():
                return
            page = await feed.read(cursor)
        except (RedisError, Problem):  # the store is away; feed and keys say so in the log
            await asyncio.sleep(_REDIS_RETRY_S)
            continue
        if page.end == cursor and not page.reset:
            await _wait(notification, end_s)
            continue
        cursor = page.end
        yield write_page(page, wanted)
        await asyncio.sleep(GAP_S)


def write_page(page: FeedPage, wanted: AlertFilter) -> bytes:
    """The page as events; at least the id that the client has read up to."""
    blocks = [_write_reset(page)] if page.reset else []
    entries = page.wanted(wanted)
    blocks += [_write_entry(entry) for entry in entries]
    if not entries or entries[-1].cursor != page.end:
        blocks.append(_write_cursor(page.end))
    return "".join(blocks).encode()


def _write_cursor(cursor: Cursor) -> str:
    """An event of its own: a script in a page sees ids only with events."""
    return f'id: {cursor}\nevent: cursor\ndata: {{"id":"{cursor}"}}\n\n'


def _write_entry(entry: Entry) -> str:
    return f"id: {entry.cursor}\nevent: alert\ndata: {entry.text}\n\n"


def _write_reset(page: FeedPage) -> str:
    body = {
        "code": "cursor.lost",
        "detail": "steps behind your id are no longer kept; the stream goes on with the oldest kept",
        "oldest": str(page.oldest) if page.entries else None,
    }
    return f"event: reset\ndata: {json.dumps(body)}\n\n"


async def _wait(notification: asyncio.Event, end_s: float) -> None:
    try:
        async with asyncio.timeout_at(end_s):
            await notification.wait()
    except TimeoutError:
        return


class AlertStreamResponse(EventSourceResponse):
    """Takes a seat before the first byte, and drops a client that does not read for `send_timeout_s`.

    The seat belongs to the answer and not to the generator, which may never be started and then never ends.
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
                _log.info("a stream of alerts was dropped: its client does not read")
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
