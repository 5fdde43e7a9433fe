"""Files of products: CSV, JSON lines or parquet, columns by the names of the fields of a record.

A cell that is empty says nothing, in CSV and parquet alike: null, which clears a field, needs JSON lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl

from contracts.fields import InvalidEvent
from contracts.json_content import check_members
from contracts.product_records import FIELDS
from sources.formats import UnknownFormat
from sources.lines import MAX_ROW_BYTES, join_rows, split_lines, split_row, too_long
from sources.opening import is_parquet, read_blocks
from sources.text import SEPARATORS

LIST_SEPARATOR = "|"
"""Between categories, or regions, in one cell."""
COLUMNS = frozenset((
    "product_id", "updated_at", "deleted", *FIELDS, "promotion_price", "promotion_from", "promotion_to",
))  # fmt: skip
_LISTS = ("categories", "regions")
_BOOLEANS = ("active", "deleted")
_TIMES = ("updated_at", "published_at", "promotion_from", "promotion_to")
_PRICES = ("price", "promotion_price")
_TRUTHS = {
    "true": True, "yes": True, "1": True, "y": True, "t": True,
    "false": False, "no": False, "0": False, "n": False, "f": False,
}  # fmt: skip
_SLICE_ROWS = 5_000


class ProductRow(NamedTuple):
    """A row that is not blank: its number from 1, and what it says, or why it cannot be read."""

    number: int
    fields: Any
    raw: bytes


class ProductFile:
    """A file of products; raises `UnknownFormat` or `OSError` where it is none.

    `unused` are columns that no field of a product has.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.unused: tuple[str, ...] = ()
        self._separator = ","
        self._columns: tuple[str, ...] = ()
        if is_parquet(path):
            self._columns = tuple(pl.read_parquet_schema(path))
            self.rows = self._parquet_rows
        elif self._first_line().lstrip().startswith(b"{"):
            self.rows = self._json_rows
        else:
            self._separator, self._columns = _header(self._first_line(), path.name)
            self.rows = self._csv_rows
        if self._columns:
            self.unused = tuple(name for name in self._columns if name and name not in COLUMNS)
            _check_columns(self._columns, path.name)

    def _first_line(self) -> bytes:
        line = next((line for line in self._lines() if line.strip()), b"")
        if not line:
            raise UnknownFormat(f"{self._path.name} is empty")
        if line.lstrip().startswith(b"["):
            name = self._path.name
            raise UnknownFormat(
                f"{name} is one JSON array; it must have one object per line: jq -c '.[]' {name}"
            )
        return line

    def _lines(self) -> Iterator[bytes]:
        return split_lines(read_blocks(self._path))

    def _json_rows(self) -> Iterator[ProductRow]:
        for number, line in enumerate(self._lines(), start=1):
            if line.strip():
                yield ProductRow(number, _read_json(line), line)

    def _csv_rows(self) -> Iterator[ProductRow]:
        lines = self._lines()
        next(line for line in lines if line.strip())
        rows = join_rows(lines, len(self._columns), self._separator)
        for number, row in enumerate(rows, start=1):
            if row.strip():
                yield ProductRow(number, self._read_row(row), row)

    def _read_row(self, row: bytes) -> Any:
        try:
            values = split_row(row, self._separator)
        except InvalidEvent as exc:
            return exc
        if len(values) != len(self._columns):
            detail = f"the row must have {len(self._columns)} values, got {len(values)}"
            return InvalidEvent("row.wrong_length", detail)
        return self._fields(values)

    def _parquet_rows(self) -> Iterator[ProductRow]:
        table = pl.scan_parquet(self._path)
        number = 0
        while len(rows := table.slice(number, _SLICE_ROWS).collect()):
            for values in rows.iter_rows():
                number += 1
                fields = self._fields(values)
                yield ProductRow(number, fields, orjson.dumps(fields, default=str))

    def _fields(self, values: Sequence[Any]) -> dict[str, Any]:
        """The row as a record of the topic would say it."""
        fields: dict[str, Any] = {}
        for name, value in zip(self._columns, values, strict=True):
            plain = value.strip() if isinstance(value, str) else value
            if name in COLUMNS and plain is not None and plain != "":
                fields[name] = self._plain(name, plain)
        promotion = {
            name.removeprefix("promotion_"): fields.pop(name)
            for name in ("promotion_price", "promotion_from", "promotion_to")
            if name in fields
        }
        return {**fields, "promotion": promotion} if promotion else fields

    def _plain(self, name: str, value: Any) -> Any:
        if isinstance(value, datetime):  # without an offset it is for the contract's check to refuse
            return value.isoformat()
        if isinstance(value, date | Decimal):
            return str(value)
        if isinstance(value, Mapping):
            return {key: self._plain("", each) for key, each in value.items()}
        if isinstance(value, float) and name == "product_id" and value.is_integer():
            return int(value)  # pandas makes floats of ids where one is missing
        if not isinstance(value, str):
            return value
        if name in _LISTS:
            return [each.strip() for each in value.split(LIST_SEPARATOR)]
        if name in _BOOLEANS:
            return _TRUTHS.get(value.lower(), value)
        if name in _TIMES and value.isdecimal():
            return int(value)
        return value.replace(",", ".") if name in _PRICES and self._separator == ";" else value


def _read_json(line: bytes) -> Any:
    try:
        if len(line) > MAX_ROW_BYTES:
            raise too_long()
        fields = orjson.loads(line)
        check_members(line)
    except orjson.JSONDecodeError as exc:
        return InvalidEvent("product.not_json", f"must be UTF-8 JSON: {exc}")
    except InvalidEvent as exc:
        return exc
    return fields


def _header(line: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """The separator of a table and its columns: of those that could be, the one that gives most of ours."""
    try:
        readings = [(each, tuple(column.strip() for column in split_row(line, each))) for each in SEPARATORS]
    except InvalidEvent as exc:
        raise UnknownFormat(f"{name}, first line: {exc.detail}") from exc
    return max(readings, key=lambda reading: len(COLUMNS.intersection(reading[1])))


def _check_columns(columns: Sequence[str], name: str) -> None:
    if "product_id" not in columns:
        shown = ", ".join(columns[:10])[:200]
        raise UnknownFormat(f"{name} has no column product_id; it has {shown}")
    twice = [
        column for place, column in enumerate(columns) if column in columns[:place] and column in COLUMNS
    ]
    if twice:
        raise UnknownFormat(f"{name} has two columns called {twice[0]}; remove or rename one")
