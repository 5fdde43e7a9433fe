"""What libraries send and we refuse, while their protocol says that all is well, is seen by somebody."""

from pathlib import Path
from typing import Any

import httpx
import orjson

from api.resources.events.refused_events import MAX_OF_REQUEST, letters_of
from api.resources.events.tail_publisher import Notice, show
from api.resources.events.validation import ValidationContext, validate
from api_processes import ApiProgram
from contracts.clock import wall_clock_ms
from contracts.dead_letters import decode_dead_letter, encode_dead_letter
from contracts.settings import Settings
from ops.diagnosis.refused import judge_refused
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


def stored(settings: Settings) -> list[StoredLetter]:
    return list(read_letters(settings, 10))


def test_refused_events_of_libraries_are_dead_letters(make_installation: Any, tmp_path: Path) -> None:
    settings = make_installation(partitions=3)
    with ApiProgram(settings, tmp_path) as api:
        answer = httpx.post(f"{api.url}/v1/batch", json={"batch": [ORDER]})
        assert (answer.status_code, answer.json()["rejected"]) == (200, 1)
        body = {"client_id": "c", "events": [PURCHASE]}
        assert httpx.post(f"{api.url}/mp/collect", json=body).status_code == 204
        assert httpx.post(f"{api.url}/v1/events", json={"event_type": "sold"}).status_code == 400
        wait_until(lambda: len(stored(settings)) == 2, 20, "two dead letters")
    letters = {kept.letter.library: kept.letter for kept in stored(settings)}
    segment, ga4 = letters["segment:analytics-php/3.8.1"], letters["ga4"]
    assert (segment.code, ga4.code) == ("total.not_number", "currency.unknown")
    assert orjson.loads(segment.value or b"") == {
        "event_id": "m1",
        "event_type": "purchase",
        "order_id": "o1",
        "total": "$30",
        "items": [{"product_id": "p"}],
    }
    check = judge_refused(stored(settings), now_ms=wall_clock_ms())
    assert "1 total.not_number (1 by segment:analytics-php/3.8.1)" in check.found
    assert "ISO 4217" in check.advice


def test_a_request_of_nothing_but_errors_makes_a_few_letters() -> None:
    elements = [{"event_type": "cart", "user_id": "u"}] * 100
    refusals = validate(elements, ValidationContext(wall_clock_ms(), "EUR")).refusals
    letters = list(letters_of("ga4", elements, refusals, 5))
    assert len(letters) == MAX_OF_REQUEST
    assert len({letter.letter_id for letter in letters}) == MAX_OF_REQUEST
    assert decode_dead_letter(encode_dead_letter(letters[0])) == letters[0]


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
