"""The log of alerts as a table: CSV by RFC 4180 that a spreadsheet opens without running what is in it."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from contracts.alerts import Alert, VisitorDetail
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
    ) -> "Export":
        """An export up to the newest step there is now; a lost cursor begins at the oldest kept."""
        oldest, last = await read_ends(reader)
        cursor = START if is_lost(after, oldest, last) else after
        return cls(reader, wanted, handling, limit, cursor, last)

    async def read(self) -> AsyncIterator[str]:
        """The table in parts, its header first; raises `RedisError`."""
        yield _to_lines([COLUMNS])
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
            (cursor, to_row(alert, said, cursor, now_ms))
            for (cursor, alert), said in zip(steps, handled, strict=True)
            if self.handling is None or said.state(now_ms) is self.handling
        ]


async def stream_export(export: Export) -> AsyncIterator[str]:
    """The parts of the table; with a limit all of them are read first, so that `following` is right."""
    if export.limit is None:
        return export.read()
    return _each([part async for part in export.read()])


def to_row(alert: Alert, said: Handled, cursor: Cursor, now_ms: int) -> tuple[str, ...]:
    """The cells of a step in the order of `COLUMNS`; what is null is an empty cell."""
    state = said.state(now_ms)
    word = said.snoozed if state is HandlingState.SNOOZED else said.acknowledged
    detail: VisitorDetail = alert.detail
    value = detail.cart_value_minor
    cells = (
        alert.record_id, alert.alert_id, alert.kind, alert.state, alert.severity, alert.user_id,
        detail.session_id, detail.session, alert.episode, _time(alert.at_ms), _time(alert.fired_ms),
        str(alert.live).lower(), detail.cart_lines,
        None if value is None or detail.currency is None else format_minor(value, detail.currency),
        detail.currency, detail.purchase, alert.threshold, alert.model, "; ".join(alert.reasons),
        None if detail.offer is None else detail.offer.words,
        state, None if word is None else word.by, None if word is None else _time(word.at_ms),
        _time(said.until_ms) if state is HandlingState.SNOOZED else None, said.verdict, said.note, cursor,
    )  # fmt: skip
    return tuple("" if cell is None else _disarm(str(cell)) for cell in cells)


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
