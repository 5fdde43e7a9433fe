"""HTTP connections with limits that uvicorn does not have: size and time of the head, and their number."""

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.errors import problem_response
from api.http.host import find_host_flaw
from api.http.load_shedding import REFUSED
from api.http.request_log import REQUEST_ID

MAX_URL_BYTES = 8 * 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
HEAD_TIMEOUT_S = 10.0
OFFER_HEADERS = frozenset((b"upgrade", b"http2-settings"))
"""Headers of an offer to speak another protocol; `Connection` names them."""
LINGER_S = 1.0
"""What a refused client still sends is dropped for this long: a reset would take our answer from it."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections one process has at once; `per_address` of 0 is no limit of its own."""

    total: int
    per_address: int = 0


class HeadRefused(Exception):
    """The head of a request breaks a limit."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class Connection(HttpToolsProtocol):
    """One client. Of connections over the number, every request is answered with 503 and is the last."""

    limits: ClassVar[ConnectionLimits]
    addresses: ClassVar[Counter[str]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._address = ""
        self._head_bytes = 0
        self._field_bytes = 0
        self._in_head = True
        self._head_since_s: float | None = None
        self._head_timer: asyncio.TimerHandle | None = None  # one for many heads: each would cost two calls
        self._refusal: HeadRefused | None = None
        self._is_offer = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Counts the client and starts the time of its first head."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.addresses[self._address] += 1
        per_address = self.limits.per_address
        is_one_too_many = len(self.connections) > self.limits.total or (
            per_address and self.addresses[self._address] > per_address
        )
        if is_one_too_many:
            self.app_state = {**self.app_state, REFUSED: True}
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the client."""
        self._stop_timer()
        self.addresses[self._address] -= 1
        if not self.addresses[self._address]:
            del self.addresses[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, unless the client was refused."""
        if self._refusal is not None:
            return
        if self._in_head:
            if self._head_since_s is None:
                self._await_head()
            self._head_bytes += len(data)
        self._feed(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and self._refusal is None:
            self._refuse(_too_large())

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's, of which uvicorn makes no use
        """The client sends nothing more; whether the connection is kept until what it asked for is answered.

        That it has closed its side does not say that it reads no answer (RFC 9112, 9.6).
        """
        cycle = self.cycle
        if self._refusal is not None or cycle is None or cycle.response_started:
            return False
        if cycle.more_body:
            detail = "the connection was closed before the body was complete"
            self._refuse(HeadRefused(HTTPStatus.BAD_REQUEST, "body.incomplete", detail))
            return False
        cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        self._field_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._abort(
                HeadRefused(
                    HTTPStatus.REQUEST_URI_TOO_LONG,
                    "url.too_long",
                    f"the path with its query must be at most {MAX_URL_BYTES} bytes",
                )
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        """One whole header. One behind the body is dropped: whoever looked at the others has not seen it."""
        if self._in_head:
            super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        if len(self.headers) > MAX_HEADERS or self._field_bytes > MAX_HEAD_BYTES:
            self._abort(_too_large())

    def on_headers_complete(self) -> None:
        """The head is there in time."""
        self._head_since_s = None
        self._in_head = False
        self._head_bytes = 0
        version = self.parser.get_http_version()
        reason = _find_flaw(self.url, self.headers, version)
        if reason is not None:
            self._abort(HeadRefused(HTTPStatus.BAD_REQUEST, "request.not_http", reason))
        flaw = find_host_flaw(self.url, self.headers, version)
        if flaw is not None:
            self._abort(HeadRefused(HTTPStatus.BAD_REQUEST, *flaw))
        self._is_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._is_offer:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """From here on the next head may come; its time starts with its first byte."""
        if not self._is_offer:
            super().on_message_complete()
        self._in_head = True

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser did not take; called by uvicorn."""
        del msg
        self._refuse(
            self._refusal
            or HeadRefused(HTTPStatus.BAD_REQUEST, "request.not_http", "the request is not valid HTTP/1.1")
        )

    def _feed(self, data: bytes) -> None:
        """Feeds the parser, which stops behind a head that offers another protocol.

        Java's client offers HTTP/2 with its first request. Such an offer may be passed over (RFC 9110, 7.8):
        the request is read once more without it, or its body would be lost.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            if not self._is_offer:  # CONNECT, which is answered as any method that a path does not know
                return
            head = self._head_without_offer()
            self._is_offer = False
            self.parser = httptools.HttpRequestParser(self)
            self._feed(head + data[exc.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _head_without_offer(self) -> bytes:
        lines = [
            b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(part for part in _parts(value) if part not in OFFER_HEADERS)
            if name not in OFFER_HEADERS:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join((*lines, b"", b""))

    def _abort(self, refusal: HeadRefused) -> None:
        self._refusal = refusal
        raise refusal  # the parser stops, and uvicorn calls `send_400_response`

    def _await_head(self) -> None:
        self._head_since_s = self.loop.time()
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._check_head)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _check_head(self) -> None:
        self._head_timer = None
        if self._head_since_s is None:
            return
        left_s = self._head_since_s + HEAD_TIMEOUT_S - self.loop.time()
        if left_s > 0:  # the timer was set for a head before
            self._head_timer = self.loop.call_later(left_s, self._check_head)
            return
        if self._head_bytes == 0:
            self.transport.close()  # it never began, so there is nothing to answer
            return
        detail = f"the head of the request must be sent within {HEAD_TIMEOUT_S:g} s"
        self._refuse(HeadRefused(HTTPStatus.REQUEST_TIMEOUT, "head.timeout", detail))

    def _refuse(self, refusal: HeadRefused) -> None:
        self._refusal = refusal
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        if self._is_next_to_answer():  # else an answer is under way: no second one
            self.transport.write(_to_bytes(refusal, self.server_state.default_headers))
        self.loop.call_later(LINGER_S, self.transport.close)

    def _is_next_to_answer(self) -> bool:
        """Whether nothing else is answered first; whoever waits for the refused body is told its end."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        if self.pipeline or cycle.response_started or not cycle.more_body:
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        return True


def limited_connection(limits: ConnectionLimits) -> type[Connection]:
    """The protocol class of one server, with its own count."""
    return type("LimitedConnection", (Connection,), {"limits": limits, "addresses": Counter()})


def _find_flaw(target: bytes, headers: list[tuple[bytes, bytes]], http_version: str) -> str | None:
    """What the parser takes, and others on the way may read in another way."""
    if http_version not in ("1.0", "1.1"):
        return "the version must be HTTP/1.1 or HTTP/1.0"
    if b"#" in target:
        return "the target must not have a fragment"
    for name, value in headers:
        if name == b"transfer-encoding" and (http_version == "1.0" or value.strip().lower() != b"chunked"):
            return "Transfer-Encoding must be chunked, in HTTP/1.1"
    return None


def _parts(value: bytes) -> list[bytes]:
    return [part.strip().lower() for part in value.split(b",")]


def _too_large() -> HeadRefused:
    detail = f"the head must be at most {MAX_HEAD_BYTES} bytes in at most {MAX_HEADERS} headers"
    return HeadRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head.too_large", detail)


def _to_bytes(refusal: HeadRefused, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    request_id = uuid.uuid4().hex
    token = REQUEST_ID.set(request_id)
    headers = {"Connection": "close", "X-Content-Type-Options": "nosniff", "X-Request-Id": request_id}
    answer = problem_response(refusal.status, refusal.code, refusal.detail, headers=headers)
    REQUEST_ID.reset(token)
    lines = [b"%b: %b\r\n" % header for header in (*default_headers, *answer.raw_headers)]
    return b"".join((STATUS_LINE[refusal.status], *lines, b"\r\n", bytes(answer.body)))
