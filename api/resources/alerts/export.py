"""The log of alerts as a table: CSV by RFC 4180 that a spreadsheet opens without running what is in it."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from contracts.alerts import Alert, VisitorDetail, describe_detail
from contracts.clock import wall_clock_ms
from contracts.events import format_minor
from readers.alerts.handling import Handled, HandlingState, read_handled
from readers.alerts.log import START, AlertFilter, Cursor, Step, is_lost, read_ends, read_steps
from readers.intervals import to_datetime
from readers.reader import Reader

COLUMNS = (
    "record_id", "alert_id", "kind", "state", "severity", "user_id", "session_id", "session", "episode",
    "at", "fired_at", "live", "cart_lines", "cart_value", "currency", "purchase_probability", "threshold",
    "model", "reasons", "offer", "handling", "handled_by", "handled_at", "snoozed_until", "verdict", "note",
    "cursor",
)  # fmt: skip
ALL_COLUMNS = (*COLUMNS[:-1], "subject", "detail", COLUMNS[-1])
"""With what is said of any subject; the cursor stays the last."""
Columns = tuple[str, ...]
EXPORT_HEADERS = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="alerts.csv"'}
_PAGE = 250
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(slots=True)
class Export:
    """What to write: wanted steps behind `cursor` up to and with `newest`, at most `limit` of them.

    `following` is where the next export goes on: known from the start without a limit, else once all is read.
    """

    reader: Reader
    wanted: AlertFilter
    handling: HandlingState | None
    limit: int | None
    cursor: Cursor
    newest: Cursor
    columns: Columns = COLUMNS
    following: Cursor = field(init=False)

    def __post_init__(self) -> None:
        self.following = self.newest if self.limit is None else self.cursor

    @classmethod
    async def open(
        cls,
        reader: Reader,
        wanted: AlertFilter,
        after: Cursor,
        handling: HandlingState | None,
        limit: int | None,
        columns: Columns = COLUMNS,
    ) -> "Export":
        """An export up to the newest step there is now; a lost cursor begins at the oldest kept."""
        oldest, last = await read_ends(reader)
        cursor = START if is_lost(after, oldest, last) else after
        return cls(reader, wanted, handling, limit, cursor, last, columns)

    async def read(self) -> AsyncIterator[str]:
        """The table in parts, its header first; raises `RedisError`."""
        yield _to_lines([self.columns])
        n_left = self.limit
        while self.cursor < self.newest and n_left != 0:
            page = await read_steps(self.reader, self.cursor, _PAGE)
            if not page:
                break
            rows = await self._rows(page)
            if n_left is not None and len(rows) >= n_left:
                rows = rows[:n_left]
                self.cursor = rows[-1][0] if len(rows) == n_left else page[-1].cursor
            else:
                self.cursor = page[-1].cursor
            n_left = None if n_left is None else n_left - len(rows)
            if rows:
                yield _to_lines(row for _, row in rows)
        self.following = max(self.following, self.cursor)

    async def _rows(self, page: Iterable[Step]) -> list[tuple[Cursor, tuple[str, ...]]]:
        steps = [
            (step.cursor, step.alert)
            for step in page
            if step.alert is not None and step.cursor <= self.newest and self.wanted.takes(step.alert)
        ]
        handled = await read_handled(self.reader, [alert for _, alert in steps])
        now_ms = wall_clock_ms()
        return [
            (cursor, to_row(alert, said, cursor, now_ms, self.columns))
            for (cursor, alert), said in zip(steps, handled, strict=True)
            if self.handling is None or said.state(now_ms) is self.handling
        ]


async def stream_export(export: Export) -> AsyncIterator[str]:
    """The parts of the table; with a limit all of them are read first, so that `following` is right."""
    if export.limit is None:
        return export.read()
    return _each([part async for part in export.read()])


def to_row(
    alert: Alert, said: Handled, cursor: Cursor, now_ms: int, columns: Columns = COLUMNS
) -> tuple[str, ...]:
    """The cells of a step in the order of `columns`; what is null, or not said of its subject, is empty."""
    state = said.state(now_ms)
    word = said.snoozed if state is HandlingState.SNOOZED else said.acknowledged
    cells = {
        "record_id": alert.record_id,
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "state": alert.state,
        "severity": alert.severity,
        "user_id": alert.user_id,
        "episode": alert.episode,
        "at": _time(alert.at_ms),
        "fired_at": _time(alert.fired_ms),
        "live": str(alert.live).lower(),
        "threshold": alert.threshold,
        "model": alert.model,
        "reasons": "; ".join(alert.reasons),
        "handling": state,
        "handled_by": None if word is None else word.by,
        "handled_at": None if word is None else _time(word.at_ms),
        "snoozed_until": _time(said.until_ms) if state is HandlingState.SNOOZED else None,
        "verdict": said.verdict,
        "note": said.note,
        "subject": alert.subject,
        "detail": describe_detail(alert.kind, alert.detail),
        "cursor": cursor,
        **_visitor_cells(alert.detail),
    }
    return tuple("" if (cell := cells.get(name)) is None else _disarm(str(cell)) for name in columns)


def _visitor_cells(detail: Any) -> dict[str, Any]:
    """What is said of a visitor with a cart; nothing of other subjects."""
    if not isinstance(detail, VisitorDetail):
        return {}
    value, currency = detail.cart_value_minor, detail.currency
    return {
        "session_id": detail.session_id,
        "session": detail.session,
        "cart_lines": detail.cart_lines,
        "cart_value": None if value is None or currency is None else format_minor(value, currency),
        "currency": currency,
        "purchase_probability": detail.purchase,
        "offer": None if detail.offer is None else detail.offer.words,
    }


def _disarm(cell: str) -> str:
    """A cell that a spreadsheet takes for text: what visitors typed must not become a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _time(at_ms: int) -> str:
    return to_datetime(at_ms).isoformat().replace("+00:00", "Z")


def _to_lines(rows: Iterable[tuple[str, ...]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue()


async def _each(parts: Iterable[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part
