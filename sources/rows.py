"""Rows of a table become events of the contract, or are rejected."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from contracts.clock import wall_clock_ms
from contracts.event_ids import content_id
from contracts.events import MAX_EVENT_BYTES, Event, InvalidEvent, encode, from_fields
from sources.formats import TableFormat


class Rejected(NamedTuple):
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
    """One row on its way. `values` are in column order, or why there are none.

    `line` is the original row, None where it comes from a binary format. A `skipped` row only counts towards
    the ordinals of the rows equal to it.
    """

    row: int
    time_ms: int | None
    skipped: bool
    values: tuple[Any, ...] | InvalidEvent
    line: bytes | None = None


class EventMaker:
    """Makes events of rows in time order.

    Where the file has no ids, that of an event is a digest of the row and its ordinal among equal rows of the
    same time: equal rows are different events, and the same file gives the same ids whenever it is read.
    """

    def __init__(
        self, table: TableFormat, columns: Iterable[str], currency: str, *, decimal_comma: bool = False
    ) -> None:
        """`decimal_comma`: prices may be written as `10,50`."""
        self._table = table
        self._columns = tuple(columns)
        self._names = tuple(table.fields.get(column) for column in self._columns)
        self._currency = currency
        self._decimal_comma = decimal_comma
        self._received_ms = wall_clock_ms()
        self._equal_rows: dict[tuple[Any, ...], int] = {}
        self._equal_at: int | None = None

    def make(self, rows: Iterable[TableRow]) -> Iterator[Event | Rejected]:
        """An event, or a rejected row, for every row that is not `skipped`."""
        for row in rows:
            ordinal = self._ordinal(row)
            if row.skipped:
                continue
            try:
                yield self._event(row, ordinal)
            except InvalidEvent as exc:
                yield Rejected(row.row, exc.code, exc.detail, self._original(row))

    def _ordinal(self, row: TableRow) -> int:
        if row.time_ms is None or isinstance(row.values, InvalidEvent):
            return 0
        if row.time_ms != self._equal_at:
            self._equal_at = row.time_ms
            self._equal_rows.clear()
        ordinal = self._equal_rows.get(row.values, 0)
        self._equal_rows[row.values] = ordinal + 1
        return ordinal

    def _event(self, row: TableRow, ordinal: int) -> Event:
        if isinstance(row.values, InvalidEvent):
            raise row.values
        if len(row.values) != len(self._names):
            detail = f"the row has {len(row.values)} columns, the file has {len(self._names)}"
            raise InvalidEvent("row.columns", detail)
        fields: dict[str, Any] = {
            name: value
            for name, value in zip(self._names, row.values, strict=True)
            if name is not None and value is not None and value != ""
        }
        if row.time_ms is not None:
            fields["event_time"] = row.time_ms
        event_type = fields.get("event_type", "")
        fields["event_type"] = self._table.event_types.get(event_type, event_type)
        _mend_cells(fields, decimal_comma=self._decimal_comma)
        fields.setdefault("event_id", content_id(row.time_ms, *row.values, ordinal))
        event = from_fields(fields, received_ms=self._received_ms, default_currency=self._currency)
        check_size(event)
        return event

    def _original(self, row: TableRow) -> bytes:
        if row.line is not None:
            return row.line
        values = () if isinstance(row.values, InvalidEvent) else row.values
        return orjson.dumps(dict(zip(self._columns, values, strict=False)), default=str)


_IDS = ("user_id", "product_id", "session_id", "order_id", "category")
_TEXTS = ("category", "brand")
_ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+\d{2,3}")
"""How spreadsheets and pandas write a long number: `5.35871E+08`. Digits may be lost."""
_WHOLE = re.compile(r"(\d{1,15})[.,]0+")
"""How they write a whole one; of a longer one digits may be lost."""
_CELL_ERRORS = frozenset(("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"))
_COMMA_PRICE = re.compile(r"\d+,\d{1,2}")


def _mend_cells(fields: dict[str, Any], *, decimal_comma: bool) -> None:
    """Take back what a spreadsheet made of ids, texts and prices; raises `InvalidEvent` if it cannot."""
    for name in _IDS:
        value = fields.get(name)
        if type(value) is not str:  # a binary format may have numbers
            continue
        if value in _CELL_ERRORS:
            raise InvalidEvent(
                f"{name}.cell_error", f"{name} is the error value of a spreadsheet, such as #N/A"
            )
        if _ROUNDED.fullmatch(value) or (value[-2:] in (".0", ",0") and value[:-2].isdigit()):
            fields[name] = _whole_number(name, value)
    for name in _TEXTS:
        text = fields.get(name)
        if type(text) is str and ("\n" in text or "\r" in text):  # a cell that was written on several lines
            fields[name] = " ".join(text.split())
    if decimal_comma and _COMMA_PRICE.fullmatch(fields.get("price", "")):
        fields["price"] = fields["price"].replace(",", ".")


def _whole_number(name: str, value: str) -> str:
    whole = _WHOLE.fullmatch(value)
    if whole is not None:
        return whole[1]
    raise InvalidEvent(
        f"{name}.rounded",
        f"{name} is a number rounded by a spreadsheet, such as 5.35871E+08; export the column as text",
    )
