"""The part of the log of alerts that an endpoint has not got yet: pages of it, and what is trimmed unread."""

from collections import deque
from typing import NamedTuple

from contracts.alerts import Alert
from contracts.clock import wall_clock_ms
from delivery.webhooks.endpoints import Filters
from delivery.webhooks.messages import Message, to_message
from readers.alerts.handling import find_muted, read_handled
from readers.alerts.log import START, Cursor, Step, is_lost, read_ends, read_steps
from readers.alerts.rendering import to_handling
from readers.reader import Reader

PAGE = 250
_LOOK_PAGES = 4


class Page(NamedTuple):
    """What an endpoint wants of a page, where the page ends, and whether there may be more behind it."""

    messages: list[Message]
    end: Cursor
    more: bool


class Position(NamedTuple):
    """Where to read on. `missed` steps that were wanted, at least, are gone from before it."""

    cursor: Cursor
    missed: int


async def read_page(reader: Reader, filters: Filters, after: Cursor, room: int, until: Cursor | None) -> Page:
    """The next wanted steps behind the cursor, at most `room` of them, none behind `until`.

    Snoozed visitors and kinds are left out. `end` is behind everything that was decided upon.
    """
    steps = await read_steps(reader, after, PAGE)
    more = len(steps) == PAGE
    if until is not None:
        steps = [step for step in steps if step.cursor <= until]
    wanted = [step for step in steps if step.alert is not None and filters.takes(step.alert)]
    if len(wanted) > room:
        steps = steps[: steps.index(wanted[room])]
        wanted, more = wanted[:room], True
    end = steps[-1].cursor if steps else after
    return Page(await _to_messages(reader, wanted), end, more)


async def count_unread(reader: Reader, filters: Filters, after: Cursor) -> int:
    """How many wanted steps lie behind the cursor, of the next thousand steps at most."""
    number = 0
    for _ in range(_LOOK_PAGES):
        steps = await read_steps(reader, after, PAGE)
        number += sum(step.alert is not None and filters.takes(step.alert) for step in steps)
        if len(steps) < PAGE:
            break
        after = steps[-1].cursor
    return number


class MissedAlerts:
    """Watches the log in front of an endpoint that takes nothing, so that what it loses can be counted."""

    def __init__(self) -> None:
        self._seen: deque[Cursor] = deque()
        self._to = START
        self._has_gap = False

    async def locate(self, reader: Reader, after: Cursor) -> Position:
        """Where to read on if `after` was read last: the oldest kept entry, if that is newer.

        What was dropped before anybody looked counts as one.
        """
        oldest, newest = await read_ends(reader)
        if not is_lost(after, oldest, newest):
            return Position(after, 0)
        if after > newest:  # another log: nothing of it has been read
            self.forget()
            return Position(START, 0)
        gone = sum(1 for cursor in self._seen if after < cursor < oldest)
        # One less than the id of the oldest, in the order of ids.
        before = Cursor(oldest.ms, oldest.number - 1) if oldest.number else Cursor(oldest.ms - 1, 2**64 - 1)
        return Position(before, gone + (self._has_gap or self._to < before))

    async def look(self, reader: Reader, filters: Filters, after: Cursor) -> None:
        """Notes what is wanted behind the cursor, a few pages at a time."""
        while self._seen and self._seen[0] <= after:
            self._seen.popleft()
        self._to = max(self._to, after)
        self._has_gap |= is_lost(self._to, *await read_ends(reader))
        for _ in range(_LOOK_PAGES):
            steps = await read_steps(reader, self._to, PAGE)
            self._seen += (s.cursor for s in steps if s.alert is not None and filters.takes(s.alert))
            if steps:
                self._to = steps[-1].cursor
            if len(steps) < PAGE:
                return

    def forget(self) -> None:
        """Begin anew: the endpoint takes again, or wants something else."""
        self._seen.clear()
        self._to = START
        self._has_gap = False


async def _to_messages(reader: Reader, steps: list[Step]) -> list[Message]:
    alerts: list[Alert] = [step.alert for step in steps if step.alert is not None]
    now_ms = wall_clock_ms()
    muted = await find_muted(reader, alerts, now_ms)
    alerts = [alert for alert, is_muted in zip(alerts, muted, strict=True) if not is_muted]
    handled = await read_handled(reader, alerts)
    found = [to_message(a, to_handling(said, now_ms)) for a, said in zip(alerts, handled, strict=True)]
    return [message for message in found if message is not None]
