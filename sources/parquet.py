"""Parquet files of the table formats."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from contracts.events import Event
from sources.formats import choose_format
from sources.rows import EventMaker, Refused, TableRow

_EXACT = 2**53
"""Below it floats hold every whole number."""


class ParquetTable:
    """A parquet file of one of the table formats; times without an offset are UTC, as all these sets are."""

    def __init__(self, path: Path, format_name: str | None) -> None:
        self._path = path
        self._schema = pl.read_parquet_schema(path)
        self.columns = tuple(self._schema)
        self.table = choose_format(format_name, list(self._schema), path.name)
        time_column = next(c for c in self._schema if self.table.fields.get(c) == "event_time")
        # A time in text that cannot be read must reach the contract's check, which names what is wrong.
        self._columns = [c for c in self._schema if c != time_column or self._schema[c] == pl.String]
        self._time_column = time_column

    def stage(self, folder: Path) -> None:
        """Write the rows with their number and time (epoch ms) to `folder`."""
        columns = [self._whole_number(c) for c in self._columns]
        rows = pl.scan_parquet(self._path, row_index_name="row", row_index_offset=1)
        staged = rows.select(pl.col("row").cast(pl.Int64), self._time_ms().alias("time_ms"), *columns)
        staged.sink_parquet(folder / "part-000000.parquet", compression="zstd", compression_level=1)

    def identities(self, chunks: Iterable[pl.DataFrame]) -> Iterator[bytes]:
        """What tells each staged row from others."""
        for chunk in chunks:
            for _, *values in chunk.drop("skipped").iter_rows():
                yield repr(values).encode("utf-8", "replace")

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event | Refused]:
        """Events and refusals of the staged chunks."""
        maker = EventMaker(self.table, self._columns, currency)
        for chunk in chunks:
            yield from maker.make(
                TableRow(row, time_ms, skipped, tuple(values))
                for row, time_ms, *values, skipped in chunk.iter_rows()
            )

    def _time_ms(self) -> pl.Expr:
        column, kind = pl.col(self._time_column), self._schema[self._time_column]
        if kind == pl.String:
            return column.str.to_datetime("%+", time_unit="ms", strict=False).dt.epoch("ms")
        if kind.is_integer():
            return column.cast(pl.Int64, strict=False)
        return column.dt.epoch("ms")

    def _whole_number(self, name: str) -> pl.Expr:
        """Ids that became floats because some are missing (pandas does that) are whole numbers again.

        Those that are too large for it have lost digits, and are none.
        """
        is_id = self.table.fields.get(name) not in (None, "price")
        column = pl.col(name)
        if not (is_id and self._schema[name].is_float()):
            return column
        return pl.when(column.abs() < _EXACT).then(column.cast(pl.Int64, strict=False)).alias(name)
