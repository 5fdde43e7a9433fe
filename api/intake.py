"""From the body of a request to events: what is taken, and what is refused and why."""

import asyncio
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import ClientDisconnect

from api.errors import Problem
from api.receipts import Refusal
from contracts.events import MAX_EVENT_BYTES, Event, encode, from_fields, upcast
from contracts.fields import InvalidEvent, identifier, kind_of

MAX_BODY_BYTES = 1024 * 1024
MAX_EVENTS = 1_000
READ_TIMEOUT_S = 10.0
_MEDIA_TYPES = ("application/json", "text/plain")
"""`navigator.sendBeacon` sends strings as text/plain."""


_CLOSE = {"Connection": "close"}
"""What is left of the body is not worth reading, so the connection cannot serve another request."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event that follows the contract, and its bytes for Kafka."""

    event: Event
    value: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The events of one request: records in the order they came, and refusals."""

    records: list[Record]
    refusals: list[Refusal]


def check_headers(content_type: str, content_encoding: str, content_length: str) -> None:
    """Refuses by its headers (empty if absent) a body that need not be read; raises `Problem`."""
    if content_type.partition(";")[0].strip().lower() not in _MEDIA_TYPES:
        detail = f"Content-Type must be {' or '.join(_MEDIA_TYPES)}"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type.unsupported", detail)
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "content_encoding.unsupported",
            "the body must not be compressed",
        )
    if content_length.isdecimal() and int(content_length) > MAX_BODY_BYTES:
        raise _too_large()


async def read_body(chunks: AsyncIterable[bytes], *, timeout_s: float = READ_TIMEOUT_S) -> bytes:
    """All chunks together; raises `Problem` when they are too many bytes, late, or break off."""
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError as exc:
        detail = f"the body must be sent within {timeout_s:g} s"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "body.timeout", detail, headers=_CLOSE) from exc
    except ClientDisconnect as exc:
        raise _bad_body("body.incomplete", "the connection was closed within the body") from exc
    return bytes(body)


def split_body(body: bytes) -> list[Any]:
    """The elements of a JSON array, or the one JSON object; raises `Problem` for anything else."""
    if not body.strip():
        raise _bad_body("body.empty", "the body is empty; it must be an event or an array of events")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise _bad_body("body.not_json", f"the body must be UTF-8 JSON; it is not at {where}") from exc
    if type(content) is dict:
        return [content]
    if type(content) is not list:
        raise _bad_body("body.not_events", f"the body must be an object or an array, got {kind_of(content)}")
    if not content:
        raise _bad_body("body.no_events", "the array must have at least one event")
    if len(content) > MAX_EVENTS:
        detail = f"the array must have at most {MAX_EVENTS} events, got {len(content)}"
        raise _bad_body("body.too_many_events", detail)
    return content


def judge(elements: Sequence[Any], *, received_ms: int, default_currency: str) -> Verdict:
    """Holds each element against the event contract; a missing `event_time` becomes `received_ms`."""
    verdict = Verdict([], [])
    for index, element in enumerate(elements):
        try:
            verdict.records.append(_to_record(element, received_ms, default_currency))
        except InvalidEvent as exc:
            refusal = Refusal(index=index, code=exc.code, detail=exc.detail, event_id=_valid_id(element))
            verdict.refusals.append(refusal)
    return verdict


def _to_record(element: Any, received_ms: int, default_currency: str) -> Record:
    if type(element) is not dict:
        raise InvalidEvent("event.not_object", f"must be a JSON object, got {kind_of(element)}")
    fields = upcast(element)
    if fields.get("event_time") is None:
        fields = {**fields, "event_time": received_ms}
    event = from_fields(fields, received_ms=received_ms, default_currency=default_currency)
    value = encode(event)
    if len(value) > MAX_EVENT_BYTES:  # the stream would refuse it, after we said it was taken
        raise InvalidEvent("event.too_large", f"must be at most {MAX_EVENT_BYTES} bytes, got {len(value)}")
    return Record(event, value)


def _valid_id(element: Any) -> str | None:
    if type(element) is not dict or "event_id" not in element:
        return None
    try:
        return identifier("event_id", element["event_id"])
    except InvalidEvent:
        return None


def _bad_body(code: str, detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, code, detail)


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body.too_large",
        f"the body must be at most {MAX_BODY_BYTES} bytes",
        headers=_CLOSE,
    )
