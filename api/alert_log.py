"""The log of alerts: its entries behind a cursor, under a filter, with bounded work per request."""

import logging
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from api.reader import Reader
from contracts.alerts import Alert, AlertKind, AlertState, InvalidAlert, Severity, decode_alert

_log = logging.getLogger(__name__)

MAX_SCANNED = 1_000
"""Most entries one request looks at; a filter that few of them pass needs several requests."""
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

    A cart without a known price passes no `min_value_minor`.
    """

    kind: AlertKind | None = None
    severity: Severity | None = None
    state: AlertState | None = None
    since_ms: int | None = None
    min_severity: Severity | None = None
    min_value_minor: int | None = None

    def takes(self, alert: Alert) -> bool:
        """Whether this step is wanted."""
        return (
            (self.kind is None or alert.kind is self.kind)
            and (self.severity is None or alert.severity is self.severity)
            and (self.state is None or alert.state is self.state)
            and (self.since_ms is None or alert.at_ms >= self.since_ms)
            and (self.min_severity is None or _RANK[alert.severity] >= _RANK[self.min_severity])
            and (self.min_value_minor is None or (alert.cart_value_minor or 0) >= self.min_value_minor)
        )


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


def decode_entry(cursor: object, fields: dict[bytes, bytes]) -> Alert | None:
    """The step in an entry; None, and a line in our log, if this version does not understand it."""
    try:
        return decode_alert(fields.get(b"value"))
    except InvalidAlert as exc:  # a worker of another version must not take the answers down
        _log.warning("entry %s of the log of alerts is not understood: %s", cursor, exc)
        return None


async def read_alerts(reader: Reader, wanted: AlertFilter, after: Cursor, limit: int) -> AlertPage:
    """At most `limit` wanted steps behind the cursor, oldest first, among the next `MAX_SCANNED` entries."""
    key = reader.keys.alerts()
    oldest, newest = await _ends(reader, key)
    # A cursor ahead of the log is of a log that was lost; the first call has no cursor to be lost.
    reset = after != START and not oldest <= after <= newest
    cursor = START if reset else after
    alerts: list[Alert] = []
    scanned = 0
    while scanned < MAX_SCANNED and len(alerts) < limit:
        count = min(_PAGE, limit - len(alerts)) if wanted == AlertFilter() else _PAGE
        entries: Any = await reader.redis.xrange(key, min=f"({cursor}", count=count)
        scanned += len(entries)
        cursor = _take(entries, wanted, cursor, limit, alerts)
        if len(entries) < count:
            break
    return AlertPage(alerts, cursor, cursor < newest, reset)


def _take(
    entries: Iterable[Any], wanted: AlertFilter, cursor: Cursor, limit: int, alerts: list[Alert]
) -> Cursor:
    """Adds the wanted ones up to the limit; the cursor of the last entry that was looked at."""
    for entry_id, fields in entries:
        if len(alerts) == limit:
            break
        cursor = parse_cursor(entry_id.decode())
        alert = decode_entry(cursor, fields)
        if alert is not None and wanted.takes(alert):
            alerts.append(alert)
    return cursor


async def _ends(reader: Reader, key: str) -> tuple[Cursor, Cursor]:
    """Cursors of the oldest and newest entry; both `START` if there is none."""
    pipe = reader.redis.pipeline(transaction=True)
    pipe.xrange(key, count=1)
    pipe.xrevrange(key, count=1)
    first, last = await pipe.execute()
    if not first:
        return START, START
    return parse_cursor(first[0][0].decode()), parse_cursor(last[0][0].decode())
