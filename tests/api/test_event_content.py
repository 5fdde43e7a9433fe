"""What an event may say: every kind of bad event and time, and what becomes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from contracts.clock import wall_clock_ms
from event_api import CART, DRY, WORDS, check_problem

PURCHASE = {**CART, "event_type": "purchase"}
ORDER: dict[str, Any] = {
    "event_type": "purchase",
    "user_id": "you",
    "order_id": "o1",
    "items": [{"product_id": "p1", "price": "1", "currency": "EUR"}, {"product_id": "p2", "price": "2"}],
}


def nested(levels: int) -> dict[str, Any]:
    """An event of so many levels, itself included."""
    value: Any = 1
    for n in range(levels - 1):
        value = {"a": value} if n % 2 else [value]
    return {**CART, "deep": value}


def later(**span: float) -> str:
    """RFC 3339 of now and so much."""
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({**CART, "price": "NaN"}, "price.not_finite"),
        ({**CART, "price": "-Infinity"}, "price.not_finite"),
        ({**CART, "price": -0.001}, "price.negative"),
        ({**CART, "price": "-5"}, "price.negative"),
        ({**CART, "price": 1e12}, "price.too_large"),
        ({**CART, "price": "12,50"}, "price.not_number"),
        ({**CART, "price": "$12"}, "price.not_number"),
        ({**CART, "price": "١٢"}, "price.not_number"),
        ({**CART, "price": " 12 "}, "price.not_number"),
        ({**CART, "price": "1_000"}, "price.not_number"),
        ({**CART, "price": True}, "price.not_number"),
        ({**CART, "price": [WORDS]}, "price.not_number"),
        ({**CART, "quantity": -1}, "quantity.not_positive"),
        ({**CART, "quantity": 0}, "quantity.not_positive"),
        ({**CART, "quantity": 1.5}, "quantity.not_integer"),
        ({**CART, "quantity": 10**9}, "quantity.too_large"),
        ({**CART, "quantity": True}, "quantity.not_number"),
        ({**CART, "user_id": None}, "user_id.missing"),
        ({**CART, "user_id": ""}, "user_id.blank"),
        ({**CART, "user_id": "  \t"}, "user_id.blank"),
        ({**CART, "user_id": WORDS * 1_000}, "user_id.too_long"),
        ({**CART, "user_id": "a\x00b"}, "user_id.control_characters"),
        ({**CART, "user_id": 1.0}, "user_id.not_string"),
        ({**CART, "user_id": 2**64}, "user_id.not_string"),
        ({**CART, "event_id": ""}, "event_id.blank"),
        ({**CART, "event_id": [WORDS]}, "event_id.not_string"),
        ({**CART, "session_id": {}}, "session_id.not_string"),
        ({"event_type": "cart", "user_id": WORDS}, "product_id.missing"),
        ({}, "event_type.missing"),
        ({**CART, "event_type": WORDS}, "event_type.unknown"),
        ({**CART, "event_type": "Cart"}, "event_type.unknown"),
        ({**CART, "event_type": "add_to_cart"}, "event_type.unknown"),
        ({**CART, "event_type": "checkout"}, "event_type.unknown"),
        ({**CART, "event_type": "checkout", "order_id": "o1"}, "event_type.unknown"),
        ({**PURCHASE, "currency": "XXX"}, "currency.unknown"),
        ({**PURCHASE, "currency": "euro"}, "currency.unknown"),
        ({**PURCHASE, "currency": WORDS}, "currency.unknown"),
        ({**CART, "schema": 3}, "schema.unsupported"),
        ({**CART, "schema": WORDS}, "schema.unsupported"),
        ({**ORDER, "currency": "USD"}, "currency.mixed"),
        ({**ORDER, "event_type": "view", "items": []}, "items.empty"),
        ({**ORDER, "items": WORDS}, "items.not_list"),
        ({**ORDER, "items": [{"product_id": "p1"}] * 201}, "items.too_many"),
        ({**ORDER, "event_type": "cart", "items": [{"id": "p1", "price": -1}]}, "items.price.negative"),
        ({**ORDER, "product_id": "p1"}, "items.ambiguous"),
        ({**ORDER, "total": "-1x"}, "total.not_number"),
        ({**CART, **{f"f{n}": n for n in range(96)}}, "event.too_many_fields"),
        ({**CART, "many": [{"a": n} for n in range(96)]}, "event.too_many_fields"),
        (nested(9), "event.too_deep"),
        ({**CART, "note": WORDS * 4_000}, "event.too_large"),
        (None, "event.not_object"),
        ([], "event.not_object"),
        (True, "event.not_object"),
    ],
)
async def test_such_an_event_is_refused_for_its_rule(
    client: httpx.AsyncClient, event: object, code: str
) -> None:
    answer = await client.post(DRY, json=[event, event])
    problem = check_problem(answer, 400, "events.rejected")
    assert [(e["index"], e["code"]) for e in problem["errors"]] == [(0, code), (1, code)]


@pytest.mark.parametrize(
    "event",
    [
        {**CART, "user_id": 17, "product_id": 4},
        {**CART, "price": 3.0, "quantity": "2"},
        {**CART, "price": "1000000000"},
        {**CART, "brand": "", "category": None},
        PURCHASE,
        {**PURCHASE, "price": None, "currency": None},
        {**CART, "event_type": "remove_from_cart", "product_id": "never-seen"},
        {**CART, "name": "<script>alert(1)</script> ' OR 1=1 -- {{7*7}} ${jndi:ldap://x}"},
        {**CART, "user_id": "<b>'\";--"},
        {**CART, **{f"f{n}": n for n in range(94)}},  # and event_time, which stands for now
        nested(8),
    ],
)
async def test_such_an_event_is_taken(client: httpx.AsyncClient, event: object) -> None:
    answer = await client.post(DRY, json=event)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


@pytest.mark.parametrize(
    ("event_time", "code"),
    [
        (0, "event_time.too_early"),
        (1_700_000_000, "event_time.too_early"),
        ("1970-01-01T00:00:00Z", "event_time.too_early"),
        ("0001-01-01T00:00:00+01:00", "event_time.too_early"),
        ("9999-12-31T23:59:59Z", "event_time.in_future"),
        (10**18, "event_time.in_future"),
        ("2025-01-01T00:00:00", "event_time.naive"),
        ("2025-01-01", "event_time.not_time"),
        ("2025-W01-1T00:00:00Z", "event_time.not_time"),
        (WORDS, "event_time.not_time"),
        (True, "event_time.not_time"),
        (1.5, "event_time.not_time"),
    ],
)
async def test_such_a_time_is_refused(client: httpx.AsyncClient, event_time: object, code: str) -> None:
    answer = await client.post(DRY, json={**CART, "event_time": event_time})
    assert check_problem(answer, 400, "events.rejected")["errors"][0]["code"] == code


async def test_a_time_may_be_old_but_hardly_ahead(client: httpx.AsyncClient) -> None:
    now_ms = wall_clock_ms()
    times: list[object] = [
        now_ms,
        later(minutes=4),
        later(hours=-73),
        "2001-01-01T00:00:00+02:00",
        None,
        now_ms,
    ]
    events = [{**CART, "event_id": f"e{n}", "event_time": at} for n, at in enumerate(times)]
    assert (await client.post(DRY, json=events)).json()["accepted"] == len(times)
    ahead = [{**CART, "event_time": later(minutes=6)}, {**CART, "event_time": later(days=3_653)}]
    problem = check_problem(await client.post(DRY, json=ahead), 400, "events.rejected")
    assert {error["code"] for error in problem["errors"]} == {"event_time.in_future"}


async def test_a_repetition_in_one_request_is_a_duplicate_whatever_it_says(client: httpx.AsyncClient) -> None:
    events = [
        {**CART, "event_id": "e1"},
        {**CART, "event_id": "e1", "product_id": "another"},
        {**CART, "event_id": "e1", "user_id": "somebody else"},  # ids are a visitor's own
        {**CART, "event_id": "e1", "price": -1},
        {**PURCHASE, "event_id": "e2", "order_id": "o1"},
        {**PURCHASE, "event_id": "e3", "order_id": "o1", "price": "1"},
    ]
    answer = await client.post(DRY, json=events)
    receipt = answer.json()
    assert (receipt["accepted"], receipt["duplicates"], receipt["rejected"]) == (4, 1, 1)


@pytest.mark.parametrize(
    ("events", "dedupe"),
    [
        ([{"event_id": "e1"}], "event_id"),
        ([{"event_id": "e1"}, {"event_time": 1_760_000_000_000}], "derived"),
        ([{"event_time": 1_760_000_000_000}, {"user_id": "b"}, {"event_id": "e1"}], "none"),
        ([{"event_id": "e1"}, {"price": -1}], "event_id"),
    ],
)
async def test_the_receipt_says_what_tells_a_repetition(
    client: httpx.AsyncClient, events: list[dict[str, Any]], dedupe: str
) -> None:
    answer = await client.post(DRY, json=[{**CART, **event} for event in events])
    assert answer.json()["dedupe"] == dedupe


async def test_a_refused_event_is_named_by_its_id_if_that_is_one(client: httpx.AsyncClient) -> None:
    events = [{**CART, "event_id": "e1", "user_id": WORDS * 20}, {**CART, "event_id": WORDS * 20}]
    problem = check_problem(await client.post(DRY, json=events), 400, "events.rejected")
    assert problem["errors"] == [
        {
            "index": 0,
            "code": "user_id.too_long",
            "detail": "user_id must have at most 128 characters, got 280",
            "event_id": "e1",
        },
        {
            "index": 1,
            "code": "event_id.too_long",
            "detail": "event_id must have at most 128 characters, got 280",
            "event_id": None,
        },
    ]
