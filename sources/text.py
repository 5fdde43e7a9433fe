"""Text files: CSV tables line by line, and our own JSON lines, plain or gzipped."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from contracts.clock import wall_clock_ms
from contracts.events import Event, InvalidEvent, decode
from sources.formats import choose_format
from sources.rows import EventMaker, Refused, TableRow, check_size

MAX_LINE_BYTES = 16 * 1024 * 1024


def open_lines(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed where its name ends in `.gz`."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Lines without their ends; a line longer than `MAX_LINE_BYTES` comes in pieces of that size."""
    for line in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
        yield line.rstrip(b"\r\n")


def split_row(line: bytes) -> tuple[str, ...]:
    """The columns of a CSV line; raises `UnicodeDecodeError`."""
    text = line.decode()
    if '"' in text:
        return tuple(next(csv.reader([text]), ()))
    return tuple(text.split(","))


class CsvTable:
    """A CSV file of one of the table formats, read line by line: a broken line cannot hide the next one."""

    def __init__(self, path: Path, format_name: str | None) -> None:
        self._path = path
        with open_lines(path) as file:
            first = _values(next(lines_of(file), b"").removeprefix(b"\xef\xbb\xbf")) or ()
        self.table = choose_format(format_name, first, path.name)
        self._columns = first if self.table.header else tuple(self.table.fields)

    def staged_lines(self) -> Iterator[tuple[int, int | None, bytes]]:
        """`(row, time_ms, line)` of every row; None where no time can be read."""
        time_column = next(i for i, c in enumerate(self._columns) if self.table.fields.get(c) == "event_time")
        with open_lines(self._path) as file:
            lines = lines_of(file)
            if self.table.header:
                next(lines, None)
            for row, line in enumerate(lines, start=1):
                if line:
                    yield row, self._time_ms(line, time_column), line

    def _time_ms(self, line: bytes, time_column: int) -> int | None:
        try:
            return self.table.time_ms(split_row(line)[time_column])
        except (UnicodeDecodeError, IndexError):
            return None

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event | Refused]:
        """Events and refusals of the staged chunks."""
        maker = EventMaker(self.table, self._columns, currency)
        for chunk in chunks:
            yield from maker.make(self._rows(chunk))

    def _rows(self, chunk: pl.DataFrame) -> Iterator[TableRow]:
        for row, time_ms, line, skipped in chunk.iter_rows():
            yield TableRow(row, time_ms, skipped, _values(line), line)


def _values(line: bytes) -> tuple[str, ...] | None:
    try:
        return split_row(line)
    except UnicodeDecodeError:
        return None


class JsonLines:
    """Events of the contract, one JSON object a line; a line without an `event_id` gets the contract's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def staged_lines(self, currency: str) -> Iterator[tuple[int, int | None, bytes]]:
        """`(row, time_ms, line)` of every line that is not empty; None where it is no event."""
        with open_lines(self._path) as file:
            for row, line in enumerate(lines_of(file), start=1):
                if line:
                    outcome = _decode(row, line, currency)
                    yield row, outcome.event_time_ms if isinstance(outcome, Event) else None, line

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event | Refused]:
        """Events and refusals of the staged chunks."""
        for chunk in chunks:
            for row, _, line, skipped in chunk.iter_rows():
                if not skipped:
                    yield _decode(row, line, currency)


def _decode(row: int, line: bytes, currency: str) -> Event | Refused:
    try:
        event = decode(line, received_ms=wall_clock_ms(), default_currency=currency)
        check_size(event)
    except InvalidEvent as exc:
        return Refused(row, exc.code, exc.detail, line)
    return event
