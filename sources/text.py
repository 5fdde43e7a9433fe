"""Text files: CSV tables row by row, and our own JSON lines, plain or gzipped."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from contracts.clock import wall_clock_ms
from contracts.events import Event, InvalidEvent, decode
from contracts.json_content import check_members
from sources.formats import UnknownFormat, choose_format, find_format
from sources.lines import MAX_ROW_BYTES, join_rows, split_lines, split_row, too_long
from sources.opening import read_blocks
from sources.rows import EventMaker, Rejected, TableRow, check_size

SEPARATORS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"


Lines = Iterator[tuple[int, int | None, bytes, bytes]]
"""Of every row that is not blank: its number, the epoch ms of its time or None, its bytes, and what tells it
from others."""


def first_line(path: Path) -> bytes:
    """The first line that is not blank; raises `UnknownFormat` without one, or if it has no end."""
    for line in split_lines(read_blocks(path)):
        if len(line) > MAX_ROW_BYTES:
            raise UnknownFormat(f"{path.name}: the first line is longer than {MAX_ROW_BYTES} bytes")
        if line.strip():
            return line
    raise UnknownFormat(f"{path.name} is empty")


class CsvTable:
    """A CSV file of one of the table formats, read row by row: a broken row cannot hide the next one."""

    def __init__(self, path: Path, format_name: str | None) -> None:
        self._path = path
        self._separator, columns = _read_header(path, format_name)
        self.table = choose_format(format_name, columns, path.name)
        self._header = self.table.required <= set(columns)
        self.columns = columns if self._header else tuple(self.table.fields)
        if self._header:
            _check_names(columns, path.name)

    def staged_lines(self) -> Lines:
        """See `Lines`; None where no time can be read."""
        time_column = next(i for i, c in enumerate(self.columns) if self.table.fields.get(c) == "event_time")
        rows = join_rows(self._lines(), len(self.columns), self._separator)
        for number, row in enumerate(rows, start=1):
            if row:
                yield number, self._time_ms(row, time_column), row, row

    def _lines(self) -> Iterator[bytes]:
        """The lines after the header and what may stand before it."""
        lines = split_lines(read_blocks(self._path))
        if not self._header:
            return lines
        for line in lines:
            if line.strip() and _separator_line(line) is None:
                break
        return lines

    def _time_ms(self, row: bytes, time_column: int) -> int | None:
        try:
            return self.table.time_ms(split_row(row, self._separator)[time_column])
        except (InvalidEvent, IndexError):
            return None

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event | Rejected]:
        """Events and rejected rows of the staged chunks."""
        maker = EventMaker(self.table, self.columns, currency, decimal_comma=self._separator == ";")
        for chunk in chunks:
            yield from maker.make(self._rows(chunk))

    def _rows(self, chunk: pl.DataFrame) -> Iterator[TableRow]:
        for number, time_ms, row, skipped in chunk.iter_rows():
            try:
                values: tuple[str, ...] | InvalidEvent = split_row(row, self._separator)
            except InvalidEvent as exc:
                values = exc
            yield TableRow(number, time_ms, skipped, values, row)


def _read_header(path: Path, format_name: str | None) -> tuple[str, tuple[str, ...]]:
    """The separator of a table and the values of its first line."""
    lines = (line for line in split_lines(read_blocks(path)) if line.strip())
    line = first_line(path)
    named = _separator_line(line)
    if named is not None:  # `sep=;`, as spreadsheets write it
        next(lines)
        line = next(lines, b"")
    try:
        readings = [(each, _names(line, each)) for each in ([named] if named else SEPARATORS)]
    except InvalidEvent as exc:
        raise UnknownFormat(f"{path.name}, first line: {exc.detail}") from exc
    for separator, columns in readings:
        if find_format(format_name, columns) is not None:
            return separator, columns
    return max(readings, key=lambda reading: len(reading[1]))


def _names(line: bytes, separator: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in split_row(line, separator))


def _separator_line(line: bytes) -> str | None:
    text = line.strip(b'"').lower()
    return text[4:].decode("latin-1") if text.startswith(b"sep=") and len(text) == 5 else None


def _check_names(columns: tuple[str, ...], name: str) -> None:
    """Raise `UnknownFormat` where two columns have one name; columns without a name are not read."""
    for place, column in enumerate(columns):
        first = columns.index(column)
        if column and first != place:
            raise UnknownFormat(
                f"{name}: the columns {first + 1} and {place + 1} are both called {column[:40]}; "
                "remove or rename one"
            )


class JsonLines:
    """Events of the contract, one JSON object a line; a line without an `event_id` gets the contract's."""

    def __init__(self, path: Path, first: bytes) -> None:
        self._path = path
        if first.lstrip().startswith(b"["):
            raise UnknownFormat(
                f"{path.name} is one JSON array; it must have one object per line: jq -c '.[]' {path.name}"
            )

    def staged_lines(self, currency: str) -> Lines:
        """See `Lines`; None where it is no event."""
        for number, raw in enumerate(split_lines(read_blocks(self._path)), start=1):
            line = raw.removeprefix(_BOM)  # of a file that others were appended to
            if line:
                outcome = _decode(number, line, currency)
                if isinstance(outcome, Event):
                    yield number, outcome.event_time_ms, line, outcome.event_id.encode("utf-8", "replace")
                else:
                    yield number, None, line, line

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event | Rejected]:
        """Events and rejected rows of the staged chunks."""
        for chunk in chunks:
            for number, _, line, skipped in chunk.iter_rows():
                if not skipped:
                    yield _decode(number, line, currency, thorough=True)


def _decode(number: int, line: bytes, currency: str, *, thorough: bool = False) -> Event | Rejected:
    """The event of a line; unless `thorough`, a name given twice is not looked for."""
    try:
        if len(line) > MAX_ROW_BYTES:
            raise too_long()
        event = decode(line, received_ms=wall_clock_ms(), default_currency=currency)
        check_size(event)
        if thorough:
            check_members(line)
    except InvalidEvent as exc:
        return Rejected(number, exc.code, exc.detail, line)
    return event
