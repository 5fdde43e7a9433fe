"""What is refused over HTTP is a dead letter, beside what is refused of Kafka: one place to look at."""

from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import orjson

from api.http.errors import Problem
from api.resources.events.refused_events import (
    MAX_OF_REQUEST,
    MAX_PER_MINUTE,
    RefusalReports,
    Sender,
    letters_of,
)
from api.resources.events.tail_publisher import Notice, show
from api.resources.events.validation import ValidationContext, validate
from api_processes import ApiProgram
from contracts.clock import wall_clock_ms
from contracts.dead_letters import DeadLetter, decode_dead_letter, encode_dead_letter
from contracts.settings import Settings
from ops.diagnosis.rejected import judge_rejected
from ops.events.tail import render_request
from producers.rejected import StoredLetter, read_letters
from services import wait_until

LIBRARY = {"library": {"name": "analytics-php", "version": "3.8.1"}}
ORDER = {
    "type": "track",
    "event": "Order Completed",
    "userId": "jane@example.org",
    "messageId": "m1",
    "context": LIBRARY,
    "properties": {"order_id": "o1", "revenue": "$30", "note": "for Jane", "products": [{"product_id": "p"}]},
}
PURCHASE = {
    "name": "purchase",
    "params": {"transaction_id": "t1", "currency": "XXX", "items": [{"price": 1}]},
}


AGENT = {"user-agent": "okhttp/4.12.0 (Android 14; Shop)"}
OWN = f"http python-httpx/{httpx.__version__}"
JSON = {"content-type": "application/json"}
PREFLIGHT = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}


def stored(settings: Settings) -> list[StoredLetter]:
    return list(read_letters(settings, 10))


def test_refused_events_of_libraries_are_dead_letters(make_installation: Any, tmp_path: Path) -> None:
    settings = make_installation(partitions=3)
    with ApiProgram(settings, tmp_path) as api:
        answer = httpx.post(f"{api.url}/v1/batch", json={"batch": [ORDER]}, headers=AGENT)
        assert (answer.status_code, answer.json()["rejected"]) == (200, 1)
        body = {"client_id": "c", "events": [PURCHASE]}
        assert httpx.post(f"{api.url}/mp/collect", json=body, headers=AGENT).status_code == 204
        assert httpx.post(f"{api.url}/v1/events", json={"event_type": "sold"}).status_code == 400
        assert httpx.post(f"{api.url}/v1/events?validate=1", json={"event_type": "sold"}).status_code == 400
        assert httpx.post(f"{api.url}/v1/events", content="{", headers=JSON).status_code == 400
        httpx.options(f"{api.url}/v1/events", headers=PREFLIGHT)
        wait_until(lambda: len(stored(settings)) >= 5, 20, "five dead letters")
        metrics = httpx.get(f"{api.url}/metrics").text
    for sender, code in (
        ("segment:analytics-php/3.8.1", "total.not_number"),
        ("ga4 okhttp/4.12.0", "currency.unknown"),
        (OWN, "event_type.unknown"),
    ):
        line = f'storepulse_api_rejected_of_sender_total{{code="{code}",sender="{sender}"}} 1.0'
        assert line in metrics, sender
    all_letters = [kept.letter for kept in stored(settings)]
    own = {letter.code: letter for letter in all_letters if letter.sender in (OWN, "http")}
    assert set(own) == {"event_type.unknown", "body.not_json", "origin.not_allowed"}
    assert own["event_type.unknown"].value == b'{"event_type":"sold"}'
    assert "STOREPULSE_ALLOWED_ORIGINS=http://localhost:3000" in own["origin.not_allowed"].detail
    letters = {letter.sender: letter for letter in all_letters if letter.sender not in (OWN, "http")}
    assert len(all_letters) == 5
    segment, ga4 = letters["segment:analytics-php/3.8.1"], letters["ga4 okhttp/4.12.0"]
    assert (segment.code, ga4.code) == ("total.not_number", "currency.unknown")
    assert orjson.loads(segment.value or b"") == {
        "event_id": "m1",
        "event_type": "purchase",
        "order_id": "o1",
        "total": "$30",
        "items": [{"product_id": "p"}],
    }
    others = [kept for kept in stored(settings) if kept.letter.sender not in (OWN, "http")]
    check = judge_rejected(others, now_ms=wall_clock_ms())
    assert "1 total.not_number (1 by segment:analytics-php/3.8.1)" in check.found
    assert "1 currency.unknown (1 by ga4 okhttp/4.12.0)" in check.found
    assert "ISO 4217" in check.advice
    blocked = [kept for kept in stored(settings) if kept.letter.code == "origin.not_allowed"]
    check = judge_rejected(blocked, now_ms=wall_clock_ms())
    assert "pages of http://localhost:3000 may not send events" in check.advice


def test_a_request_of_nothing_but_errors_makes_a_few_letters() -> None:
    elements = [{"event_type": "cart", "user_id": "u"}] * 100
    refusals = validate(elements, ValidationContext(wall_clock_ms(), "EUR")).refusals
    letters = list(letters_of(Sender("ga4"), elements, refusals, 5))
    assert len(letters) == MAX_OF_REQUEST
    assert len({letter.letter_id for letter in letters}) == MAX_OF_REQUEST
    assert decode_dead_letter(encode_dead_letter(letters[0])) == letters[0]


class Letters:
    """A publisher that keeps what it is to report; the real one is in the test above."""

    def __init__(self) -> None:
        self.reported: list[DeadLetter] = []

    def report(self, letters: Iterable[DeadLetter]) -> None:
        self.reported += letters


def test_a_sender_of_nothing_but_errors_does_not_fill_the_log_and_others_are_still_seen() -> None:
    now_s = [0.0]
    letters = Letters()
    counted: Counter[tuple[str, str]] = Counter()
    reports = RefusalReports(letters, lambda *refusal: counted.update([refusal]), lambda: now_s[0])
    element = {"event_type": "cart", "user_id": "u"}
    refusals = validate([element], ValidationContext(wall_clock_ms(), "EUR")).refusals
    for _ in range(MAX_PER_MINUTE * 3):
        reports.report_events(Sender("", "k7", "curl/8.5.0"), [element], refusals, 5)
    assert len(letters.reported) == MAX_PER_MINUTE
    assert {letter.sender for letter in letters.reported} == {"http:k7 curl/8.5.0"}
    assert counted == {("http:k7 curl/8.5.0", "product_id.missing"): MAX_PER_MINUTE * 3}
    reports.report_request(Sender(), Problem(HTTPStatus.BAD_REQUEST, "body.empty", "empty"), 5)
    reports.report_request(Sender(), Problem(HTTPStatus.UNAUTHORIZED, "key.missing", "none"), 5)
    reports.report_request(Sender(), Problem(HTTPStatus.SERVICE_UNAVAILABLE, "kafka.unavailable", "away"), 5)
    assert [letter.code for letter in letters.reported[MAX_PER_MINUTE:]] == ["body.empty"]
    now_s[0] = 60.0
    reports.report_events(Sender(), [element], refusals, 5)
    assert letters.reported[-1].sender == "http"


def test_the_live_tail_says_which_library_and_what_to_do() -> None:
    element = {"event_type": "cart", "user_id": "u", "product_id": "p", "price": "$1"}
    validated = validate([element], ValidationContext(wall_clock_ms(), "EUR"))
    shown = show(Notice(0, "r", "k", False, validated, None, "segment:analytics.js/2.1"))
    [line] = render_request(orjson.loads(orjson.dumps(shown)))
    assert "price.not_number" in line.plain
    assert "by segment:analytics.js/2.1; send prices as plain numbers" in line.plain


def test_the_live_tail_shows_orders_without_products_and_guests() -> None:
    order = {"event_type": "purchase", "anonymous_id": "a", "order_id": "o7", "total": 5}
    validated = validate([order], ValidationContext(wall_clock_ms(), "EUR"))
    shown = orjson.loads(orjson.dumps(show(Notice(0, "r", "k", False, validated, None))))
    [line] = render_request(shown)
    assert "a  o7  5.00 EUR" in line.plain
    assert shown["source"] is None
