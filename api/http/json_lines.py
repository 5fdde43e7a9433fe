"""Bodies of one JSON value per line, each of which is judged alone."""

from collections.abc import Sequence
from typing import Any

from contracts.fields import InvalidEvent
from contracts.json_content import NotJson, read_json, read_plain_lines, settle


def lines_of(body: bytes) -> list[bytes]:
    """The lines that are not blank."""
    return [line for line in body.split(b"\n") if line and not line.isspace()]


def read_lines(lines: Sequence[bytes]) -> Sequence[Any]:
    """What each line holds; an `InvalidEvent` in place of a value that cannot be taken."""
    elements = read_plain_lines(lines)
    return [_read_line(line) for line in lines] if elements is None else elements


def _read_line(line: bytes) -> Any:
    try:
        content = read_json(line)
    except NotJson as exc:
        return InvalidEvent("event.not_json", f"the line {exc}")
    return content.value if content.is_plain else settle(content.value)
