"""The body of a request on its way in: how much of it, how long, and which encodings are taken."""

import zlib
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.types import Receive

from api.http.errors import Problem
from contracts.fields import InvalidEvent
from contracts.json_content import JsonContent, NotJson, read_json, settle_members

MAX_BODY_BYTES = 1024 * 1024
READ_TIMEOUT_S = 10.0
_MEDIA_TYPES = ("application/json", "text/plain")
"""`navigator.sendBeacon` sends strings as text/plain."""
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii", "")
_GZIP_NAMES = ("gzip", "x-gzip")
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def media_type_of(content_type: str) -> str:
    """The media type without its parameters, in lower case; empty if there is none."""
    return content_type.partition(";")[0].strip().lower()


def check_charset(content_type: str, body: bytes) -> None:
    """Refuses text that is declared to be in another encoding than UTF-8, unless both are the same.

    Read as UTF-8 it would be other text. Raises `Problem`.
    """
    if body.isascii():
        return
    header = Message()
    header["Content-Type"] = content_type
    if str(header.get_param("charset", "utf-8")).lower() not in _CHARSETS:
        raise unsupported_type("the charset of the body must be UTF-8")


async def read_plain_body(request: Request) -> bytes:
    """The body of a request that must be JSON and not compressed; raises `Problem`."""
    content_type = request.headers.get("content-type", "")
    if media_type_of(content_type) not in _MEDIA_TYPES:
        raise unsupported_type(f"Content-Type must be {' or '.join(_MEDIA_TYPES)}")
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise _unsupported_encoding("the body must not be compressed")
    check_length(request.headers.get("content-length", ""))
    body = await read_body(request.receive)
    check_charset(content_type, body)
    return body


def check_length(content_length: str) -> None:
    """Refuses a body that says itself that it is too large; raises `Problem`."""
    if content_length.isdecimal() and int(content_length) > MAX_BODY_BYTES:
        raise _too_large()


def is_gzip(content_encoding: str) -> bool:
    """Whether the body is compressed; raises `Problem` for anything but gzip."""
    name = content_encoding.strip().lower()
    if name in ("", "identity"):
        return False
    if name in _GZIP_NAMES:
        return True
    raise _unsupported_encoding("Content-Encoding must be gzip or absent")


def unsupported_type(detail: str) -> Problem:
    """The refusal of a media type."""
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type.unsupported", detail)


def bad_body(code: str, detail: str) -> Problem:
    """The refusal of a whole body."""
    return Problem(HTTPStatus.BAD_REQUEST, code, detail)


def parse_body(body: bytes) -> JsonContent:
    """The JSON in a body; raises `Problem`."""
    try:
        return read_json(body)
    except NotJson as exc:
        raise bad_body("body.not_json", f"the body {exc}") from exc


def open_envelope(content: JsonContent, elements: str, limit: int) -> dict[str, Any]:
    """The object in a body, whose member `elements` has up to `limit` elements to be judged one by one.

    Raises `Problem` for a flaw that is outside of them.
    """
    if content.is_plain:
        return dict(content.value)
    try:
        return settle_members(content.value, elements, limit)
    except InvalidEvent as exc:
        raise flawed_body(exc) from None


def flawed_body(flaw: InvalidEvent) -> Problem:
    """The refusal of a whole body for what would be the refusal of one of its events."""
    return bad_body(f"body.{flaw.code.partition('.')[2]}", f"the body: {flaw.detail}")


async def read_body(
    receive: Receive, *, gzip: bool = False, take: Callable[[int], None] | None = None
) -> bytes:
    """The whole body, decompressed if it is gzip.

    `take` is told how many bytes there are more, as they come, and may raise. Raises `Problem` when they are
    too many, not gzip though they should, or when they break off. What comes, and its time, is limited by
    `api.http.load_shedding`.
    """
    body = bytearray()
    inflater = _Inflater() if gzip else None
    has_any, more = False, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise bad_body("body.incomplete", "the connection was closed before the body was complete")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        has_any = has_any or bool(chunk)
        part = chunk if inflater is None else inflater.inflate(chunk, MAX_BODY_BYTES + 1 - len(body))
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if take is not None:
            take(len(part))
    if inflater is not None and has_any:
        inflater.check_end()
    return bytes(body)


class _Inflater:
    """One gzip member, never inflated further than it is asked to."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_WINDOW)

    def inflate(self, chunk: bytes, max_bytes: int) -> bytes:
        """What the chunk decompresses to, at most `max_bytes`: there may be a gigabyte in it."""
        try:
            part = self._stream.decompress(chunk, max_bytes)
        except zlib.error as exc:
            raise _not_gzip("the body is not valid gzip") from exc
        if self._stream.unused_data:  # members cost much and weigh little
            raise _not_gzip("the body must be a single gzip member with nothing after it")
        return part

    def check_end(self) -> None:
        if not self._stream.eof:
            raise _not_gzip("the gzip data in the body is incomplete")


def _not_gzip(detail: str) -> Problem:
    return bad_body("body.not_gzip", detail)


def _unsupported_encoding(detail: str) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_encoding.unsupported", detail)


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body.too_large",
        f"the body must be at most {MAX_BODY_BYTES} bytes, also after decompression",
    )
