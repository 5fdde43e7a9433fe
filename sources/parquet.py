"""Parquet files of the table formats."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from contracts.events import Event
from sources.formats import UnknownFormat, choose_format
from sources.rows import EventMaker, Rejected, TableRow

_TIME_TYPES = (pl.String, pl.Datetime, pl.Date)
_EXACT = 2**53
"""Below it floats hold every whole number."""


class ParquetTable:
    """A parquet file of one of the table formats; times without an offset are UTC, as all these sets are.

    Raises `UnknownFormat` where a column of the format is of a type that cannot hold what it should.
    """

    def __init__(self, path: Path, format_name: str | None) -> None:
        self._path = path
        self._schema = pl.read_parquet_schema(path)
        self.columns = tuple(self._schema)
        self.table = choose_format(format_name, list(self._schema), path.name)
        time_column = next(c for c in self._schema if self.table.fields.get(c) == "event_time")
        # A time in text that cannot be read must reach the contract's check, which names what is wrong.
        self._columns = [c for c in self._schema if c != time_column or self._schema[c] == pl.String]
        self._time_column = time_column
        self._nested = frozenset(n for n, c in enumerate(self._columns) if self._schema[c].is_nested())
        self._check_types()

    def stage(self, folder: Path) -> None:
        """Write the rows with their number and time (epoch ms) to `folder`."""
        columns = [self._plain(c) for c in self._columns]
        rows = pl.scan_parquet(self._path, row_index_name="row", row_index_offset=1)
        staged = rows.select(pl.col("row").cast(pl.Int64), self._time_ms().alias("time_ms"), *columns)
        staged.sink_parquet(folder / "part-000000.parquet", compression="zstd", compression_level=1)

    def identities(self, chunks: Iterable[pl.DataFrame]) -> Iterator[bytes]:
        """What tells each staged row from others."""
        for chunk in chunks:
            for _, *values in chunk.drop("skipped").iter_rows():
                yield repr(values).encode("utf-8", "replace")

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event | Rejected]:
        """Events and rejected rows of the staged chunks."""
        maker = EventMaker(self.table, self._columns, currency)
        for chunk in chunks:
            yield from maker.make(
                TableRow(row, time_ms, skipped, self._hashable(values))
                for row, time_ms, *values, skipped in chunk.iter_rows()
            )

    def _check_types(self) -> None:
        for name, kind in self._schema.items():
            if name == self._time_column:
                is_fit = kind in _TIME_TYPES or kind.is_integer() or kind.is_float()
            else:
                is_fit = name not in self.table.fields or not kind.is_nested()
            if not is_fit:
                raise UnknownFormat(f"{self._path.name}: the column {name} is of type {kind}")

    def _hashable(self, values: list[Any]) -> tuple[Any, ...]:
        if not self._nested:
            return tuple(values)
        return tuple(repr(value) if n in self._nested else value for n, value in enumerate(values))

    def _time_ms(self) -> pl.Expr:
        column, kind = pl.col(self._time_column), self._schema[self._time_column]
        if kind == pl.String:
            return column.str.to_datetime("%+", time_unit="ms", strict=False).dt.epoch("ms")
        if kind.is_integer() or kind.is_float():
            return column.cast(pl.Int64, strict=False)
        return column.dt.epoch("ms")

    def _plain(self, name: str) -> pl.Expr:
        """Ids that became floats because some are missing (pandas does that) are whole numbers again.

        Those that are too large for it have lost digits, and are none, nor are fractions. Decimals are
        written out, as prices and ids of databases often are.
        """
        is_id = self.table.fields.get(name) not in (None, "price")
        column = pl.col(name)
        if self._schema[name].is_decimal():
            return column.cast(pl.String)
        if not (is_id and self._schema[name].is_float()):
            return column
        is_whole = (column.abs() < _EXACT) & (column == column.round())
        return pl.when(is_whole).then(column.cast(pl.Int64, strict=False)).alias(name)
