"""Alerts as server-sent events: what one client is sent."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from redis.exceptions import RedisError

from api.http.errors import Problem
from api.resources.alerts.feed import AlertFeed, Entry, FeedPage
from readers.alerts.log import AlertFilter, Cursor

RETRY_MS = 2_000
GAP_S = 0.25
"""Shortest time between two writes to a client: a generator that never waits starves the whole process."""
_REDIS_RETRY_S = 1.0


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
        "detail": "steps after your id are no longer stored; the stream continues with the oldest stored",
        "oldest": str(page.oldest) if page.entries else None,
    }
    return f"event: reset\ndata: {json.dumps(body)}\n\n"


async def _wait(notification: asyncio.Event, end_s: float) -> None:
    try:
        async with asyncio.timeout_at(end_s):
            await notification.wait()
    except TimeoutError:
        return
