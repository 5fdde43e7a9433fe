"""Rows of a table become events of the contract, or refusals."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from contracts.clock import wall_clock_ms
from contracts.events import MAX_EVENT_BYTES, Event, InvalidEvent, content_id, encode, from_fields
from sources.formats import TableFormat


class Refused(NamedTuple):
    """A row that is no event: its number in the file (from 1, header not counted), why, and its bytes."""

    row: int
    code: str
    detail: str
    value: bytes


def check_size(event: Event) -> None:
    """Raise `InvalidEvent` if the event's JSON is longer than any reader takes."""
    if event.extra is not None:  # all other fields together are far shorter
        size = len(encode(event))
        if size > MAX_EVENT_BYTES:
            raise InvalidEvent("event.too_large", f"must be at most {MAX_EVENT_BYTES} bytes, got {size}")


class TableRow(NamedTuple):
    """One row on its way. `values` are in column order, None where the line is not UTF-8.

    `line` is the original line, None where the row comes from a binary format. A `skipped` row only counts
    towards the ordinals of the rows equal to it.
    """

    row: int
    time_ms: int | None
    skipped: bool
    values: tuple[Any, ...] | None
    line: bytes | None = None


class EventMaker:
    """Makes events of rows in time order.

    The id of an event is a digest of the row and its ordinal among equal rows of the same time: equal rows
    are different events, and the same file gives the same ids whenever it is read.
    """

    def __init__(self, table: TableFormat, columns: Iterable[str], currency: str) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._names = tuple(table.fields.get(column) for column in self._columns)
        self._currency = currency
        self._received_ms = wall_clock_ms()
        self._equal_rows: dict[tuple[Any, ...] | None, int] = {}
        self._equal_at: int | None = None

    def make(self, rows: Iterable[TableRow]) -> Iterator[Event | Refused]:
        """An event or a refusal for every row that is not `skipped`."""
        for row in rows:
            ordinal = self._ordinal(row)
            if row.skipped:
                continue
            try:
                yield self._event(row, ordinal)
            except InvalidEvent as exc:
                yield Refused(row.row, exc.code, exc.detail, self._original(row))

    def _ordinal(self, row: TableRow) -> int:
        if row.time_ms is None:
            return 0
        if row.time_ms != self._equal_at:
            self._equal_at = row.time_ms
            self._equal_rows.clear()
        ordinal = self._equal_rows.get(row.values, 0)
        self._equal_rows[row.values] = ordinal + 1
        return ordinal

    def _event(self, row: TableRow, ordinal: int) -> Event:
        if row.values is None:
            raise InvalidEvent("row.not_utf8", "the row must be UTF-8 text")
        if len(row.values) != len(self._names):
            detail = f"the row has {len(row.values)} columns, the file has {len(self._names)}"
            raise InvalidEvent("row.columns", detail)
        fields = {
            name: value
            for name, value in zip(self._names, row.values, strict=True)
            if name is not None and value is not None and value != ""
        }
        if row.time_ms is not None:
            fields["event_time"] = row.time_ms
        event_type = fields.get("event_type", "")
        fields["event_type"] = self._table.event_types.get(event_type, event_type)
        fields["event_id"] = content_id(row.time_ms, *row.values, ordinal)
        event = from_fields(fields, received_ms=self._received_ms, default_currency=self._currency)
        check_size(event)
        return event

    def _original(self, row: TableRow) -> bytes:
        if row.line is not None:
            return row.line
        values = row.values or ()
        return orjson.dumps(dict(zip(self._columns, values, strict=False)), default=str)
