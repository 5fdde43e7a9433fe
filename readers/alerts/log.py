"""The log of alerts: its entries behind a cursor, under a filter, with bounded work per request."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from contracts.alerts import (
    Alert,
    AlertState,
    InvalidAlert,
    Segment,
    Severity,
    decode_alert,
    make_record_id,
)
from contracts.clock import wall_clock_ms
from contracts.subjects import Subject
from readers.alerts.handling import HandlingState, read_handled
from readers.reader import Reader
from readers.unreadable import UNREADABLE

MAX_SCANNED = 1_000
"""Most entries one request looks at; a filter that few of them pass needs several requests."""
CACHED_STEPS = 4_096
"""Steps kept as they were understood: all that subscribe read the same newest ones."""
_PAGE = 250
_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})", re.ASCII)
_MAX_PART = 2**64 - 1


class Cursor(NamedTuple):
    """A place in the log: the id of the stream entry that was read last."""

    ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


START = Cursor(0, 0)
"""Before every entry."""


class AlertFilter(NamedTuple):
    """Which steps are wanted; None wants all. `since_ms` is compared with the event time of the step.

    A cart without a known price passes no `min_value_minor`, nor does what has no cart.
    """

    kind: str | None = None
    severity: Severity | None = None
    state: AlertState | None = None
    since_ms: int | None = None
    min_severity: Severity | None = None
    min_value_minor: int | None = None
    segment: Segment | None = None
    subject: Subject | None = None

    def takes(self, alert: Alert) -> bool:
        """Whether this step is wanted."""
        return (
            (self.kind is None or alert.kind == self.kind)
            and (self.subject is None or alert.subject == self.subject)
            and (self.severity is None or alert.severity is self.severity)
            and (self.state is None or alert.state is self.state)
            and (self.since_ms is None or alert.at_ms >= self.since_ms)
            and (self.segment is None or getattr(alert.detail, "segment", None) is self.segment)
            and (self.min_severity is None or _RANK[alert.severity] >= _RANK[self.min_severity])
            and (self.min_value_minor is None or value_minor_of(alert) >= self.min_value_minor)
        )


def value_minor_of(alert: Alert) -> int:
    """What is at stake; 0 where the detail names no cart of known value."""
    return getattr(alert.detail, "cart_value_minor", None) or 0


class Step(NamedTuple):
    """One entry of the log by its id; None in place of a step that this version does not understand."""

    entry_id: bytes
    alert: Alert | None

    @property
    def cursor(self) -> Cursor:
        """Behind this entry."""
        ms, _, number = self.entry_id.partition(b"-")
        return Cursor(int(ms), int(number))


class AlertPage(NamedTuple):
    """Steps in the order of the log. `more`: entries behind `cursor` were there when it was read.

    `reset` says that entries after the given cursor may be lost, so reading began at the oldest kept.
    """

    alerts: list[Alert]
    cursor: Cursor
    more: bool
    reset: bool


def parse_cursor(text: str) -> Cursor:
    """The cursor in what `str` gave; raises `ValueError` if it is none."""
    match = _ID.fullmatch(text)
    if match is None:
        raise ValueError("not two numbers with a hyphen between")
    cursor = Cursor(int(match[1]), int(match[2]))
    if max(cursor) > _MAX_PART:
        raise ValueError("too large for the id of a stream entry")
    return cursor


def decode_entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Alert | None:
    """The step in an entry; None, and a line in our log, if this version does not understand it."""
    try:
        return _decode(fields.get(b"value"))
    except InvalidAlert as exc:  # a worker of another version must not take the answers down
        UNREADABLE.note("a step in the log of alerts", f"entry {entry_id.decode(errors='replace')}: {exc}")
        return None


_decode = lru_cache(maxsize=CACHED_STEPS)(decode_alert)
_Page = tuple[list[Step], bool]
"""Entries, oldest first, and whether there were more behind them."""


async def read_alerts(
    reader: Reader, wanted: AlertFilter, after: Cursor, limit: int, handling: HandlingState | None = None
) -> AlertPage:
    """At most `limit` wanted steps behind the cursor, oldest first, among the next `MAX_SCANNED` entries.

    With `handling`, only steps of alerts that are handled so now.
    """
    takes_all = wanted == AlertFilter()
    size = min(_PAGE, limit) if takes_all and handling is None else _PAGE
    cursor, reset = after, False
    page = await _read_on(reader, after, size)
    if page is None:  # its entry is gone: perhaps others behind it are too
        reset = is_lost(after, *await read_ends(reader))
        cursor = START if reset else after
        page = await _read_page(reader, cursor, size)
    found: list[Step] = []
    scanned = 0
    while True:
        steps, more = page
        scanned += len(steps)
        passing = [
            step for step in steps if step.alert is not None and (takes_all or wanted.takes(step.alert))
        ]
        passing = await _handled_so(reader, passing, handling)
        free = limit - len(found)
        found += passing[:free]
        if len(passing) > free:
            cursor, more = found[-1].cursor, True
        elif steps:
            cursor = steps[-1].cursor
        if not more or scanned >= MAX_SCANNED or len(found) == limit:
            return AlertPage([step.alert for step in found if step.alert], cursor, more, reset)
        page = await _read_page(reader, cursor, size)


async def read_newest(
    reader: Reader, wanted: AlertFilter, number: int, handling: HandlingState | None = None
) -> AlertPage:
    """The newest wanted steps among the newest `MAX_SCANNED` entries, oldest first; the cursor is the end."""
    _, last = await read_ends(reader)
    entries: Any = await reader.redis.xrevrange(reader.keys.alerts(), max=str(last), count=MAX_SCANNED)
    steps = [_to_step(*entry) for entry in entries]
    passing = [step for step in steps if step.alert is not None and wanted.takes(step.alert)]
    newest = (await _handled_so(reader, passing, handling))[:number]
    return AlertPage([step.alert for step in reversed(newest) if step.alert], last, False, False)


async def read_steps(reader: Reader, after: Cursor, count: int) -> list[Step]:
    """At most `count` entries behind the cursor, oldest first."""
    entries = await _read_range(reader, f"({after}", count)
    return [_read_step(*entry) for entry in entries]


async def find_alert(reader: Reader, alert_id: str) -> list[Alert]:
    """The kept steps of one alert, oldest first; empty for an alert that is unknown or no longer kept."""
    ids = [make_record_id(alert_id, state) for state in AlertState]
    places: Any = await reader.redis.hmget(reader.keys.alert_places(), ids)
    pipe = reader.redis.pipeline(transaction=False)
    for place in filter(None, places):
        pipe.xrange(reader.keys.alerts(), min=place, max=place)
    steps = [_to_step(*entry) for entries in await pipe.execute() for entry in entries]
    steps.sort(key=lambda step: step.cursor)
    return [step.alert for step in steps if step.alert is not None]


def is_lost(after: Cursor, oldest: Cursor, last: Cursor) -> bool:
    """Whether entries behind this cursor may be gone from a log with these ends.

    A cursor ahead of the log is of a log that was lost; the first call has no cursor to be lost.
    """
    return after != START and not oldest <= after <= last


async def _read_on(reader: Reader, after: Cursor, count: int) -> _Page | None:
    """The page behind a cursor whose entry is still there, so that nothing behind it was lost; else None."""
    if after == START:
        return await _read_page(reader, after, count)
    entries = await _read_range(reader, str(after), count + 2)
    if not entries or entries[0][0] != str(after).encode():
        return None
    return _to_page(entries[1:], count)


async def _read_page(reader: Reader, after: Cursor, count: int) -> _Page:
    """At most `count` entries behind the cursor, and whether there are more."""
    entries = await _read_range(reader, f"({after}", count + 1)
    return _to_page(entries, count)


async def _read_range(reader: Reader, start: str, count: int) -> list[Any]:
    """At most `count` entries from this id on: the id, and a list of names and values in turns."""
    # Unparsed: a dictionary per entry costs more than to understand the step, which is mostly remembered.
    entries: list[Any] = await reader.ask(b"XRANGE", reader.keys.alerts(), start, "+", "COUNT", count)
    return entries


def _to_page(entries: list[Any], count: int) -> _Page:
    shown = entries[:count]
    try:
        steps = [Step(entry_id, _decode(fields[fields.index(b"value") + 1])) for entry_id, fields in shown]
    except (InvalidAlert, ValueError, IndexError):  # seldom: then it is found out of which
        steps = [_read_step(*entry) for entry in shown]
    return steps, len(entries) > count


async def read_ends(reader: Reader) -> tuple[Cursor, Cursor]:
    """The cursor of the oldest entry, and the last that was given to any; both `START` without a log.

    The last entry may be gone, if its visitor was deleted; ids are not given twice. Without entries the last
    cursor stands for the oldest too.
    """
    pipe = reader.redis.pipeline(transaction=False)
    pipe.xinfo_stream(reader.keys.alerts())
    (found,) = await pipe.execute(raise_on_error=False)
    if isinstance(found, ResponseError):  # there is no log yet
        return START, START
    if isinstance(found, Exception):
        raise found
    last = parse_cursor(found["last-generated-id"].decode())
    first = found["first-entry"]
    return last if first is None else parse_cursor(first[0].decode()), last


async def _handled_so(reader: Reader, steps: list[Step], handling: HandlingState | None) -> list[Step]:
    if handling is None:
        return steps
    handled = await read_handled(reader, [step.alert for step in steps if step.alert is not None])
    now_ms = wall_clock_ms()
    return [step for step, said in zip(steps, handled, strict=True) if said.state(now_ms) is handling]


def _read_step(entry_id: bytes, fields: list[bytes]) -> Step:
    return _to_step(entry_id, dict(zip(fields[::2], fields[1::2], strict=True)))


def _to_step(entry_id: bytes, fields: dict[bytes, bytes]) -> Step:
    return Step(entry_id, decode_entry(entry_id, fields))
