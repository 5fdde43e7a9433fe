"""Names that a JSON object gives twice: nobody knows which of the two values it means."""

import json
from typing import Any

import orjson

from contracts.events import InvalidEvent


def check_names(line: bytes) -> None:
    """Raise `InvalidEvent` if an object in this JSON text, which orjson reads, gives a name twice."""
    if _may_repeat(line):
        try:
            json.loads(line, object_pairs_hook=_check_object)
        except RecursionError:
            raise InvalidEvent("event.too_deep", "must be writable as JSON again") from None


def _may_repeat(line: bytes) -> bool:
    """Whether the text has more colons than its content written again, or might: each name has one."""
    try:
        colons = orjson.dumps(orjson.loads(line)).count(b":")
    except orjson.JSONEncodeError:  # deeper than it writes
        return True
    return colons != line.count(b":") or b"\\u003" in line


def _check_object(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidEvent("event.repeated_field", f"the field {name[:40]} is there twice")
        seen.add(name)
