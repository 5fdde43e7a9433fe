"""What log lines look like, and what never stands in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from api.http.request_log import REQUEST_ID, RequestLog
from ops.logs.redaction import redact
from ops.logs.setup import JsonLines, Redaction

KEY = f"sk_live_{'a' * 12}_{'b' * 43}"


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger, and what it wrote as JSON lines."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(Redaction())
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("storepulse.tested")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"got {KEY}.", "got sk_[redacted]"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_[redacted]"),
        ("{'authorization': 'Token abc def'}", "{'authorization': '[redacted]'}"),
        ("Bearer eyJhbGciOi.J9.abc", "Bearer [redacted]"),
        ("/mp/collect?api_secret=hush&x=1", "/mp/collect?api_secret=[redacted]&x=1"),
        ("redis://:hush@redis:6379/0", "redis://:[redacted]@redis:6379/0"),
        ("from a.b+c@shop.example today", "from [email] today"),
        ("4111 1111 1111 1111, 378282246310005", "[card], [card]"),
        ("203.0.113.7:443 and 2001:db8::1", "[ip]:443 and [ip]"),
        ("::ffff:203.0.113.7", "::ffff:[ip]"),
    ],
)
def test_secrets_and_personal_data_are_replaced(text: str, seen: str) -> None:
    assert redact(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "Kafka at 127.0.0.1:9092, Redis at 10.1.2.3:6379, [::1]:8000",
        "view[3]@1760000000250, stream id 1760000000250-0",
        "4111111111111112 is no card number",
        "2025-10-09T08:53:20.250Z version 0.15.3",
        "storepulse@host sent 12:34:56",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert redact(text) == text


def test_a_line_is_one_object_with_the_request_it_belongs_to(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, written = lines
    token = REQUEST_ID.set("request-0001")
    logger.warning("visitor %s\nsent %d", "a@shop.example", 3)
    REQUEST_ID.reset(token)
    (line,) = written.getvalue().splitlines()
    fields = json.loads(line)
    assert fields.pop("ts").endswith("Z")
    assert fields == {
        "level": "WARNING",
        "logger": "storepulse.tested",
        "message": "visitor [email]\nsent 3",
        "request_id": "request-0001",
    }


def test_tracebacks_are_redacted_too(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = lines
    try:
        raise ValueError(f"key {KEY} of a@shop.example")
    except ValueError:
        logger.exception("failed")
    fields = json.loads(written.getvalue())
    assert "ValueError: key sk_[redacted] of [email]" in fields["exception"]
    assert KEY not in written.getvalue()


def test_a_call_with_wrong_arguments_prints_no_argument(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = lines
    logger.warning("one %s and %s", KEY)
    assert json.loads(written.getvalue())["message"] == "one %s and %s"


@pytest.mark.parametrize(
    ("status", "expected"), [(200, 0), (304, 0), (404, 20), (422, 20), (500, 20), (0, 20)]
)
def test_only_requests_that_went_well_are_sampled(
    caplog: pytest.LogCaptureFixture, status: int, expected: int
) -> None:
    caplog.set_level(logging.INFO, "api.request_log")
    for _ in range(20):
        RequestLog(0.0).write("/v1/live", "GET", status, 0.001, {})
    assert len(caplog.records) == expected


def test_a_share_of_one_logs_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api.request_log")
    RequestLog(1.0).write("/v1/live", "GET", 200, 0.0012, {"request_id": "r" * 8, "key_id": "k1"})
    (record,) = caplog.records
    assert record.getMessage() == "GET /v1/live 200 in 1.2 ms"
    assert (record.__dict__["key_id"], record.__dict__["duration_ms"]) == ("k1", 1.2)
