"""From a body to the elements that are to be judged: one event, an array, a batch, or a line each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from api.http.bodies import bad_body, media_type_of, open_envelope, parse_body, unsupported_type
from api.http.errors import Problem
from api.http.json_lines import lines_of, read_lines
from contracts.fields import kind_of
from contracts.json_content import JsonContent, settle

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
    source: str = ""
    """Another system and its library, whose protocol lets nobody be told of a refusal; empty for our own."""


def parse_payload(body: bytes, content_type: str) -> Payload:
    """What the body holds; raises `Problem` if it is nothing that could hold events.

    JSON may come as any media type, for many clients say nothing, or what they always say; other content
    under another type is refused for its type. Plain text may be lines of JSON too.
    """
    media_type = media_type_of(content_type)
    if not body.strip():
        raise bad_body("body.empty", "the body is empty; it must be an event or an array of events")
    if media_type == NDJSON:
        return Payload(read_lines(_check_number(lines_of(body))))
    try:
        content = parse_body(body)
    except Problem as problem:
        return _parse_lines(body, media_type, problem)
    return _parse_json(content)


def _parse_lines(body: bytes, media_type: str, problem: Problem) -> Payload:
    """The lines of a plain text. Raises `problem` for other bodies, or what is wrong with their type."""
    if media_type == JSON:
        raise problem
    if media_type != TEXT:
        raise unsupported_type(f"Content-Type must be {JSON}, {NDJSON} or {TEXT}, or the body JSON")
    lines = lines_of(body)
    elements = read_lines(lines[:MAX_EVENTS])
    if not any(type(element) is dict for element in elements):
        raise problem
    _check_number(lines)
    return Payload(elements)


def _parse_json(content: JsonContent) -> Payload:
    value, is_plain = content
    if isinstance(value, dict):
        if "batch" in value and "event_type" not in value:
            return _parse_batch(open_envelope(content, "batch", MAX_EVENTS))
        return Payload((value if is_plain else settle(value),))
    if type(value) is not list:
        raise bad_body("body.not_events", f"the body must be an object or an array, got {kind_of(value)}")
    _check_number(value)
    return Payload(value if is_plain else [settle(element) for element in value])


def _parse_batch(content: dict[str, Any]) -> Payload:
    if not _BATCH_MEMBERS.issuperset(content):
        known = ", ".join(sorted(_BATCH_MEMBERS))
        raise bad_body("body.unknown_field", f"besides the batch, only these members are allowed: {known}")
    batch, key = content["batch"], content.get("key")
    if type(batch) is not list:
        raise bad_body("batch.not_list", f"batch must be an array of events, got {kind_of(batch)}")
    if key is not None and type(key) is not str:
        raise bad_body("key.not_string", f"key must be a string, got {kind_of(key)}")
    return Payload(_check_number(batch), content.get("sent_at"), key, content.get("consent"))


def _check_number(elements: Sequence[Any]) -> Sequence[Any]:
    if not elements:
        raise bad_body("body.no_events", "there must be at least one event")
    if len(elements) > MAX_EVENTS:
        detail = f"there must be at most {MAX_EVENTS} events, got {len(elements)}"
        raise bad_body("body.too_many_events", detail)
    return elements
