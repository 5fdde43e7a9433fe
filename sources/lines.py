"""Lines of a text, whatever ends them, and rows of a table, whose quoted values may hold line ends."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator

from contracts.events import InvalidEvent

MAX_ROW_BYTES = 256 * 1024
"""A longer row is rejected, with its beginning; an event has at most 32 KiB."""
MOST_LINES_OF_A_ROW = 1_000


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, which may be LF, CRLF or CR, also mixed.

    A line longer than `MAX_ROW_BYTES` comes cut, still longer than that, so that whoever gets it can tell.
    """
    rest, after_cr = b"", False
    for raw in blocks:
        block = raw[1:] if after_cr and raw.startswith(b"\n") else raw
        after_cr = raw.endswith(b"\r")
        if not block:
            continue
        first, *others = block.splitlines()
        rest = (rest + first)[: MAX_ROW_BYTES + 1]
        if others:
            yield rest
            yield from others[:-1]
            rest = others[-1]
        if block.endswith((b"\n", b"\r")):
            yield rest
            rest = b""
    if rest:
        yield rest


def join_rows(lines: Iterable[bytes], columns: int, separator: str) -> Iterator[bytes]:
    """Rows of a table with `columns` columns.

    A line that leaves a quote open is one row with the lines after it, up to the one that closes the quote,
    if that makes a row of as many columns; else it is a row of its own, so that a stray quote hides no other.
    """
    coming, following = iter(lines), deque[bytes]()
    while (line := following.popleft() if following else next(coming, None)) is not None:
        if line.count(b'"') % 2 == 0 or not _is_open(line, separator):
            yield line
            continue
        row = _close_quote(line, following, coming)
        if row is not None and _has_columns(row, columns, separator):
            for _ in range(row.count(b"\n")):
                following.popleft()
            yield row
        else:
            yield line


def split_row(row: bytes, separator: str) -> tuple[str, ...]:
    """The values of a row; raises `InvalidEvent` for one that cannot be read."""
    if len(row) > MAX_ROW_BYTES:
        raise too_long()
    try:
        text = row.decode()
    except UnicodeDecodeError:
        raise InvalidEvent("row.not_utf8", "the row must be UTF-8 text; save the file as CSV UTF-8") from None
    if '"' not in text:
        return tuple(text.split(separator))
    more = iter([text, ""])
    try:
        values = next(csv.reader(more, delimiter=separator), [])
    except csv.Error as exc:
        raise InvalidEvent("row.not_csv", f"the row is not CSV: {exc}") from None
    if next(more, None) is None:
        raise InvalidEvent("row.open_quote", 'a quote (") opened in this row is not closed')
    return tuple(values)


def too_long() -> InvalidEvent:
    """The rejection of a row that is longer than `MAX_ROW_BYTES`."""
    detail = f"a row must be at most {MAX_ROW_BYTES} bytes; are line ends missing?"
    return InvalidEvent("row.too_long", detail)


def _close_quote(line: bytes, following: deque[bytes], coming: Iterator[bytes]) -> bytes | None:
    """The line and those after it up to the end of its quote, which `following` holds then; None without."""
    row, size = [line], len(line)
    while len(row) < MOST_LINES_OF_A_ROW:
        if len(row) > len(following):
            another = next(coming, None)
            if another is None:
                return None
            following.append(another)
        row.append(following[len(row) - 1])
        size += len(row[-1]) + 1
        if size > MAX_ROW_BYTES:
            return None
        if row[-1].count(b'"') % 2:
            return b"\n".join(row)
    return None


def _has_columns(row: bytes, columns: int, separator: str) -> bool:
    try:
        return len(split_row(row, separator)) == columns
    except InvalidEvent:
        return False


def _is_open(line: bytes, separator: str) -> bool:
    try:
        split_row(line, separator)
    except InvalidEvent as exc:
        return exc.code == "row.open_quote"
    return False
