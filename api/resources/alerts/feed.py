"""The log of alerts for the streams of one process: one reader waits, and a page is read once for all."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from contracts.alerts import Alert
from contracts.clock import wall_clock_ms
from readers.alerts.handling import find_muted, read_handled
from readers.alerts.log import START, AlertFilter, Cursor, Step, is_lost, read_ends, read_steps
from readers.alerts.rendering import to_json
from readers.reader import Reader

_log = logging.getLogger(__name__)

PAGE = 250
_BLOCK_MS = 1_000
_NOTIFY_GAP_S = 0.1
_PAGE_AGE_S = 0.25
_RETRY_S = 1.0


class Entry(NamedTuple):
    """One step of a page. `text` is its JSON as `/v1/alerts` shows it; `muted` steps are not to be sent."""

    cursor: Cursor
    alert: Alert
    muted: bool
    text: str


class FeedPage(NamedTuple):
    """Entries behind a cursor. `end` is the cursor behind all of them, also those that nobody understands.

    With `reset` the cursor was lost and the page begins at the oldest entry, whose cursor is `oldest`.
    """

    entries: Sequence[Entry]
    end: Cursor
    oldest: Cursor
    reset: bool

    def wanted(self, wanted: AlertFilter) -> list[Entry]:
        """The entries to send to a subscriber with this filter."""
        return [entry for entry in self.entries if not entry.muted and wanted.takes(entry.alert)]


class AlertFeed:
    """Wakes whoever waits when the log has grown, and shares what is read among those at the same place.

    A hundred streams then cost Redis about what one costs. It is woken for good when `closing` is set.
    """

    def __init__(self, reader: Reader, closing: asyncio.Event) -> None:
        self._reader = reader
        self._closing = closing
        self._notification = asyncio.Event()
        self._pages: dict[Cursor, tuple[float, asyncio.Task[FeedPage]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to watch the log."""
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._notify_at_close())]

    async def close(self) -> None:
        """Ends the watch, once `closing` is set; nobody is woken any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def notification(self) -> asyncio.Event:
        """Set when the log grows next. Take it before reading, so that nothing is missed in between."""
        return self._notification

    async def find_end(self) -> Cursor:
        """The cursor behind everything there is; raises `RedisError`."""
        return (await read_ends(self._reader))[1]

    async def read(self, cursor: Cursor) -> FeedPage:
        """The page behind a cursor, at most a quarter of a second old; raises `RedisError`."""
        now_s = asyncio.get_running_loop().time()
        kept = self._pages.get(cursor)
        if kept is None or now_s - kept[0] > _PAGE_AGE_S:
            self._pages = {c: page for c, page in self._pages.items() if now_s - page[0] <= _PAGE_AGE_S}
            task = asyncio.create_task(self._read(cursor))
            task.add_done_callback(_take_notice)
            kept = self._pages[cursor] = (now_s, task)
        return await asyncio.shield(kept[1])  # one reader that goes away must not end the others' read

    async def _read(self, cursor: Cursor) -> FeedPage:
        oldest, last = await read_ends(self._reader)
        reset = is_lost(cursor, oldest, last)
        if reset:
            cursor = START
        elif cursor >= last:
            return FeedPage((), cursor, oldest, reset=False)
        steps = await read_steps(self._reader, cursor, PAGE)
        end = steps[-1].cursor if steps else cursor
        return FeedPage(await self._show(steps), end, oldest, reset)

    async def _show(self, steps: Sequence[Step]) -> list[Entry]:
        known = [(step.cursor, step.alert) for step in steps if step.alert is not None]
        alerts = [alert for _, alert in known]
        now_ms = wall_clock_ms()
        muted = await find_muted(self._reader, alerts, now_ms)
        handled = await read_handled(self._reader, alerts)
        return [
            Entry(cursor, alert, mute, to_json(alert, said, now_ms).decode())
            for (cursor, alert), mute, said in zip(known, muted, handled, strict=True)
        ]

    async def _watch(self) -> None:
        seen: Cursor | None = None
        while not self._closing.is_set():
            try:
                newest = await self.find_end()
                if newest != seen:  # also when the log was lost and ends earlier than before
                    seen = newest
                    self._notify()
                    await asyncio.sleep(_NOTIFY_GAP_S)
                stream: dict[Any, Any] = {self._reader.keys.alerts(): str(newest)}
                await self._reader.redis.xread(stream, count=1, block=_BLOCK_MS)
            except RedisError as exc:
                _log.warning("cannot watch the log of alerts, retrying: %s", exc)
                await asyncio.sleep(_RETRY_S)

    async def _notify_at_close(self) -> None:
        await self._closing.wait()
        self._notify()

    def _notify(self) -> None:
        notification, self._notification = self._notification, asyncio.Event()
        if self._closing.is_set():
            self._notification.set()
        self._pages.clear()
        notification.set()


def _take_notice(task: asyncio.Task[FeedPage]) -> None:
    """A read whose readers have all gone away may fail without a complaint of the event loop."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
