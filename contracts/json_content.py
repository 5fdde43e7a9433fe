"""JSON as senders write it: what is wrong in one place fails, or is mended, only there.

A body is read by orjson, which takes nothing that is not JSON to the letter. Where it refuses, or where an
object names a member twice, the text is read again by a reader that goes on, and `settle` judges each element
alone.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from contracts.fields import InvalidEvent

MAX_DEPTH = 250
"""Deeper objects and arrays are no element of anything we take."""

_BROKEN = re.compile(r"[\ud800-\udfff]+")
"""Halves of characters: lone surrogates, and bytes that are no UTF-8, which are read as such."""
_REPLACEMENT = "\ufffd"
_COLON_ESCAPES = (b"\\u003a", b"\\u003A")
_BAD_ESCAPE = re.compile(r'(\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))|\\u?')
_ID_ENDINGS = ("id", "sku")


class NotJson(ValueError):
    """A text that is no JSON even so; `place` says where the first mistake is."""

    def __init__(self, place: str) -> None:
        super().__init__(f"must be UTF-8 JSON; there is an error at {place}")
        self.place = place


class JsonContent(NamedTuple):
    """What was read. If it is not `is_plain`, elements are to be settled before anybody looks into them."""

    value: Any
    is_plain: bool = True


class RepeatingObject(dict[str, Any]):
    """An object that names a member twice, so that nobody knows what it says."""


def read_json(raw: bytes) -> JsonContent:
    """The content of a UTF-8 text; raises `NotJson`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        return JsonContent(_read_again(raw, f"line {exc.lineno}, column {exc.colno}"), is_plain=False)
    if _may_repeat(raw, value):
        return JsonContent(_read_again(raw, "its depth"), is_plain=False)
    return JsonContent(value)


def read_plain_lines(lines: Sequence[bytes]) -> list[Any] | None:
    """The contents of lines that are all plain; None if one of them is not, for each to be read alone."""
    try:
        values = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return None
    return None if _may_repeat(b"".join(lines), values) else values


def check_members(raw: bytes) -> None:
    """Raise `InvalidEvent`, with its name, if an object in a text that orjson reads names a member twice."""
    if _may_repeat(raw, orjson.loads(raw)):
        try:
            json.loads(raw, object_pairs_hook=_check_object)
        except RecursionError:
            raise InvalidEvent("event.too_deep", "must be serialisable as JSON") from None


def settle(element: Any) -> Any:
    """The element with its texts mended, or the `InvalidEvent` that says why it cannot be taken.

    Half a character becomes U+FFFD, as browsers and most libraries would have written it; not in ids, as two
    of them could become one. Numbers that are not finite stay, for whoever knows the field to refuse.
    """
    try:
        return _settle(element, MAX_DEPTH, is_id=False)
    except InvalidEvent as refusal:
        return refusal


def settle_members(envelope: dict[str, Any], elements: str, limit: int) -> dict[str, Any]:
    """The envelope with the first `limit` elements of its member `elements` settled one by one.

    Whoever asks refuses more of them. Raises `InvalidEvent` if the envelope itself, or another member of it,
    cannot be taken.
    """
    listed = envelope.get(elements)
    if type(listed) is not list:
        return dict(_settle(envelope, MAX_DEPTH, is_id=False))
    rest = type(envelope)((name, None if name == elements else value) for name, value in envelope.items())
    settled: dict[str, Any] = _settle(rest, MAX_DEPTH, is_id=False)
    return {**settled, elements: [*map(settle, listed[:limit]), *listed[limit:]]}


def repeats_field(value: Any) -> bool:
    """Whether an object in what was read names a member twice."""
    if type(value) is RepeatingObject:
        return True
    children = value.values() if type(value) is dict else value if type(value) is list else ()
    return any(repeats_field(child) for child in children)


def _may_repeat(raw: bytes, value: Any) -> bool:
    """Whether the text has members that the value lacks, or might have.

    What was read is written again: every colon in it stands for one in the text. Each member has one, so if
    there are as many, no member is missing. Only a colon that was escaped could make up for a missing one.
    """
    try:
        colons = orjson.dumps(value).count(b":")
    except orjson.JSONEncodeError:  # deeper than it writes
        return True
    return colons != raw.count(b":") or (b"\\u003" in raw and any(escape in raw for escape in _COLON_ESCAPES))


def _read_again(raw: bytes, place: str) -> Any:
    text = raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        try:
            return _READER.decode(text)
        except json.JSONDecodeError as exc:
            if "escape" not in exc.msg:
                raise
            return _READER.decode(_BAD_ESCAPE.sub(_mend_escape, text))
    except (ValueError, RecursionError):
        raise NotJson(place) from None


def _mend_escape(match: re.Match[str]) -> str:
    return match[1] or _REPLACEMENT


def _to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else RepeatingObject(members)


def _check_object(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidEvent("event.repeated_field", f"the field {name[:40]} is there more than once")
        seen.add(name)


def _to_integer(text: str) -> int | float:
    """As orjson reads it: what does not fit into 64 bits is a float."""
    if len(text) <= 20:
        number = int(text)
        if -(2**63) <= number < 2**64:
            return number
    return float(text)


_READER = json.JSONDecoder(object_pairs_hook=_to_object, parse_int=_to_integer, strict=False)
"""Takes NaN, infinite numbers, lone surrogates and control characters in strings too."""


def _settle(value: Any, depth: int, *, is_id: bool) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _mend(value, is_id=is_id)
    if kind is list or kind is dict:
        if not depth:
            raise InvalidEvent(
                "event.too_deep", f"must have at most {MAX_DEPTH} levels of nesting of nesting"
            )
        if kind is list:
            return [_settle(item, depth - 1, is_id=is_id) for item in value]
        settled = {
            _mend(name, is_id=False): _settle(item, depth - 1, is_id=name.lower().endswith(_ID_ENDINGS))
            for name, item in value.items()
        }
        if len(settled) == len(value):
            return settled
        kind = RepeatingObject
    if kind is RepeatingObject:
        raise InvalidEvent("event.repeated_field", "an object in it has the same field twice")
    return value


def _mend(text: str, *, is_id: bool) -> str:
    mended = _BROKEN.sub(_REPLACEMENT, text)
    if is_id and mended != text:
        raise InvalidEvent("event.broken_id", "an id in it has a lone surrogate, or is not UTF-8")
    return mended
