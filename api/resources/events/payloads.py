"""From a body to the elements that are to be judged: one event, an array, a batch, or a line each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from api.http.bodies import bad_body, media_type_of, unsupported_type
from api.http.errors import Problem
from contracts.fields import InvalidEvent, kind_of

MAX_EVENTS = 1_000
JSON = "application/json"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"
_BATCH_MEMBERS = frozenset(("batch", "sent_at", "key", "consent"))


class Payload(NamedTuple):
    """The elements of one request; an `InvalidEvent` among them is one that is refused already."""

    elements: Sequence[Any]
    sent_at: object = None
    """By the sender's clock, as it came; None if it was not told."""
    key: str | None = None
    """The API key, if it came in the body."""
    consent: object = None
    """What the sender says of consent for all elements, as it came."""


def parse_payload(body: bytes, content_type: str) -> Payload:
    """What the body holds; raises `Problem` if it is nothing that could hold events.

    JSON may come as any media type, for many clients say nothing, or what they always say; other content
    under another type is refused for its type. Plain text may be lines of JSON too.
    """
    media_type = media_type_of(content_type)
    if not body.strip():
        raise bad_body("body.empty", "the body is empty; it must be an event or an array of events")
    if media_type == NDJSON:
        return Payload([_read_line(line) for line in _check_number(_lines_of(body))])
    try:
        return _parse_json(orjson.loads(body))
    except orjson.JSONDecodeError as exc:
        problem = _not_json(exc)
    if media_type == JSON:
        raise problem
    if media_type != TEXT:
        raise unsupported_type(f"Content-Type must be {JSON}, {NDJSON} or {TEXT}, or the body JSON")
    lines = _lines_of(body)
    elements = [_read_line(line) for line in lines[:MAX_EVENTS]]
    if not any(type(element) is dict for element in elements):
        raise problem
    _check_number(lines)
    return Payload(elements)


def _parse_json(content: Any) -> Payload:
    if type(content) is dict:
        if "batch" in content and "event_type" not in content:
            return _parse_batch(content)
        return Payload((content,))
    if type(content) is not list:
        raise bad_body("body.not_events", f"the body must be an object or an array, got {kind_of(content)}")
    return Payload(_check_number(content))


def _parse_batch(content: dict[str, Any]) -> Payload:
    if not _BATCH_MEMBERS.issuperset(content):
        known = ", ".join(sorted(_BATCH_MEMBERS))
        raise bad_body("body.unknown_field", f"beside a batch only these members are known: {known}")
    batch, key = content["batch"], content.get("key")
    if type(batch) is not list:
        raise bad_body("batch.not_list", f"batch must be an array of events, got {kind_of(batch)}")
    if key is not None and type(key) is not str:
        raise bad_body("key.not_string", f"key must be a string, got {kind_of(key)}")
    return Payload(_check_number(batch), content.get("sent_at"), key, content.get("consent"))


def _lines_of(body: bytes) -> list[bytes]:
    """The lines that are not blank."""
    return [line for line in body.split(b"\n") if line and not line.isspace()]


def _read_line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        return InvalidEvent("event.not_json", f"the line must be UTF-8 JSON; it is not at column {exc.colno}")


def _check_number(elements: Sequence[Any]) -> Sequence[Any]:
    if not elements:
        raise bad_body("body.no_events", "there must be at least one event")
    if len(elements) > MAX_EVENTS:
        detail = f"there must be at most {MAX_EVENTS} events, got {len(elements)}"
        raise bad_body("body.too_many_events", detail)
    return elements


def _not_json(exc: orjson.JSONDecodeError) -> Problem:
    where = f"line {exc.lineno}, column {exc.colno}"
    return bad_body("body.not_json", f"the body must be UTF-8 JSON; it is not at {where}")
