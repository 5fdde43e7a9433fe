"""Flaws in the text of one event: it is mended or refused by name, and its neighbours are taken.

The same for every way in: arrays, batches, lines, Segment's batches and GA4's.
"""

from collections.abc import Callable

import httpx
import orjson
import pytest

from contracts.events import EventType
from contracts.settings import Settings
from event_api import (
    CART,
    DRY,
    JSON,
    NDJSON,
    TEXT,
    check_problem,
    codes_of,
    decode_record,
    open_client,
    read_records,
)

GOOD = orjson.dumps(CART)
HUGE = b"9" * 5_000

REFUSED = {
    "half a character in an id": (rb'"user_id": "you\ud83d"', "event.broken_id"),
    "the other half": (rb'"product_id": "\udc00"', "event.broken_id"),
    "halves in the wrong order": (rb'"event_id": "\udc00\ud83d"', "event.broken_id"),
    "no UTF-8 in an id": (b'"user_id": "jos\xe9"', "event.broken_id"),
    "a character of UTF-8 cut in two": (b'"user_id": "you\xf0\x9f"', "event.broken_id"),
    "a price that is no number": (b'"price": NaN', "price.not_finite"),
    "an infinite price": (b'"price": Infinity', "price.not_finite"),
    "a price that is less than all": (b'"price": -Infinity', "price.not_finite"),
    "a price too large for any computer": (b'"price": 1e400', "price.not_finite"),
    "a price of 5,000 digits": (b'"price": ' + HUGE, "price.not_finite"),
    "a quantity of 5,000 digits": (b'"quantity": ' + HUGE, "quantity.not_finite"),
    "an endless number elsewhere": (b'"weight": 1e999', "event.not_finite"),
    "an endless number within": (b'"more": {"weights": [1, NaN]}', "event.not_finite"),
    "a time that is no number": (b'"event_time": NaN', "event_time.not_time"),
    "a price twice": (b'"price": 1, "price": 2', "event.repeated_field"),
    "a price twice, once as an escape": (rb'"price": 1, "\u0070rice": 2', "event.repeated_field"),
    "a price twice, and an escaped colon": (
        rb'"price": 1, "price": 2, "note": "\u003a"',
        "event.repeated_field",
    ),
    "a name twice within": (b'"more": [{"a": {"b": 1, "b": 1}}]', "event.repeated_field"),
    "a name twice, spelled with half a character": (
        rb'"\ud83d": 1, "\ud83e": 2',
        "event.repeated_field",
    ),
    "a control character in an id": (b'"user_id": "a\tb"', "user_id.control_characters"),
}
MENDED = {
    "half a character in a name": (rb'"name": "\ud83d"', "\ufffd"),
    "half a character behind text": (rb'"name": "Shoe \ud83d"', "Shoe \ufffd"),
    "half a character before an escaped one": (rb'"name": "\ud83d\\ude00"', "\ufffd\\ude00"),
    "no UTF-8 in a name": (b'"name": "Caf\xe9"', "Caf\ufffd"),
    "an escape that is none": (rb'"name": "C:\dir"', "C:\ufffddir"),
    "an escape cut short": (rb'"name": "\u12"', "\ufffd12"),
    "a line end in a name": (b'"name": "a\rb"', "a\rb"),
    "a colon as an escape": (rb'"name": "10\u003a30"', "10:30"),
    "whole characters": ('"name": "Schuh 👟"'.encode(), "Schuh 👟"),
}


def spoil(flaw: bytes) -> bytes:
    """An event with the flaw; fields of it come in place of the good ones."""
    name = flaw.split(b'"')[1].decode()
    rest = {field: value for field, value in CART.items() if field != name}
    return orjson.dumps(rest)[:-1] + b", " + flaw + b"}"


WAYS: dict[str, tuple[Callable[[list[bytes]], bytes], dict[str, str]]] = {
    "array": (lambda events: b"[" + b", ".join(events) + b"]", JSON),
    "batch": (lambda events: b'{"batch": [' + b",".join(events) + b'], "key": null}', TEXT),
    "lines": (b"\n".join, NDJSON),
    "lines of a beacon": (b"\n".join, TEXT),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flaw", REFUSED)
async def test_a_flawed_event_is_refused_by_name_and_fails_no_other(
    client: httpx.AsyncClient, way: str, flaw: str
) -> None:
    put, headers = WAYS[way]
    text, code = REFUSED[flaw]
    answer = await client.post(
        DRY, content=put([GOOD, spoil(text), GOOD[:-1] + b', "n": 2}']), headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 2
    assert codes_of(answer) == [(1, code)]


@pytest.mark.parametrize("way", WAYS)
async def test_text_that_is_not_whole_is_mended(installation: Settings, way: str) -> None:
    put, headers = WAYS[way]
    events = [spoil(text)[:-1] + f', "n": {n}}}'.encode() for n, (text, _) in enumerate(MENDED.values())]
    async with open_client(installation) as client:
        answer = await client.post("/v1/events", content=put(events), headers=headers)
        assert (answer.status_code, answer.json()["errors"]) == (202, [])
    found = [
        decode_record(record) for record in await read_records(installation, EventType.CART, len(events))
    ]
    names = {event.extra["n"]: event.extra["name"] for event in found if event.extra is not None}
    assert [names[n] for n in range(len(events))] == [name for _, name in MENDED.values()]


def call(flaw: bytes, product: bytes = b'"product_id": "p1"') -> bytes:
    """A call of Segment's library with the flaw among the properties."""
    return b'{"type": "track", "event": "Product Viewed", "userId": "you", "properties": {%b, %b}}' % (
        product,
        flaw,
    )


SEGMENT = {
    b'"price": NaN': "price.not_finite",
    b'"price": 1e400': "price.not_finite",
    b'"a": 1, "a": 2': "event.repeated_field",
    rb'"sku": "\ud83d"': "event.broken_id",
}


async def test_a_flawed_call_of_segment_fails_no_other(client: httpx.AsyncClient) -> None:
    good = call(rb'"name": "\ud83d"')
    for path in ("/v1/batch", "/v1/import/"):
        body = b'{"batch": [' + b",".join([good, *map(call, SEGMENT), good]) + b'], "sentAt": NaN}'
        translated = await client.post(path, content=body, headers=JSON)
        # Without Kafka nothing is taken: that it was asked says that something could have been.
        check_problem(translated, 503, "kafka.unavailable")
        refused = b'{"batch": [' + b",".join(map(call, SEGMENT)) + b"]}"
        answer = await client.post(path, content=refused, headers=JSON)
        assert codes_of(answer) == list(enumerate(SEGMENT.values()))
    for flaw, code in SEGMENT.items():
        answer = await client.post("/v1/t", content=call(flaw), headers=JSON)
        assert (answer.status_code, codes_of(answer)) == (200, [(0, code)])


async def test_a_flawed_event_of_ga4_fails_no_other(client: httpx.AsyncClient) -> None:
    item = b'{"name": "view_item", "params": {"items": [{"item_id": "p1", %b}]}}'
    flaws = {
        rb'"item_name": "\ud83d"': None,
        b'"price": NaN': "items.price.not_finite",
        b'"price": 1e400': "items.price.not_finite",
        b'"price": 1, "price": 2': "event.repeated_field",
        rb'"id": "\ud83d"': "event.broken_id",
        b'"item_brand": "x\xff"': None,
    }
    events = b",".join(item % flaw for flaw in flaws)
    body = b'{"client_id": "c", "events": [' + events + b"]}"
    answer = await client.post("/debug/mp/collect", content=body, headers=JSON)
    assert answer.status_code == 200
    told = [message["description"] for message in answer.json()["validationMessages"]]
    refused = [(n, code) for n, code in enumerate(flaws.values()) if code is not None]
    assert len(told) == len(refused)
    for text, (place, code) in zip(told, refused, strict=True):
        assert f"[{place}] {code}:" in text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/batch", b'{"writeKey": "a", "writeKey": "b", "batch": []}'),
        ("/v1/batch", b'{"batch": [], "batch": []}'),
        ("/v1/batch", b'{"batch": [], "context": {"a": 1, "a": 2}}'),
        ("/mp/collect", b'{"client_id": "a", "client_id": "b", "events": []}'),
        ("/debug/mp/collect", b'{"client_id": "a", "events": [], "events": []}'),
    ],
)
async def test_an_envelope_that_says_two_things_is_refused(
    client: httpx.AsyncClient, path: str, body: bytes
) -> None:
    check_problem(await client.post(path, content=body, headers=JSON), 400, "body.repeated_field")


async def test_the_client_that_is_half_a_character_is_nobody(client: httpx.AsyncClient) -> None:
    body = rb'{"client_id": "\ud83d", "events": []}'
    check_problem(await client.post("/mp/collect", content=body, headers=JSON), 400, "body.broken_id")


@pytest.mark.parametrize("size", [1_000, 20_000, 100_000])
async def test_what_is_deep_or_long_is_read_again_without_harm(client: httpx.AsyncClient, size: int) -> None:
    deep = b'{"n": NaN, "more": ' + b"[" * size + b"]" * size + b"}"
    long = b"[" + b",".join([b'{"n": NaN}'] * 1_000) + b"]"
    assert (await client.post(DRY, content=deep, headers=JSON)).status_code == 400
    answer = await client.post(DRY, content=long, headers=JSON)
    assert len(check_problem(answer, 400, "events.rejected")["errors"]) == 1_000
    digits = b'{"price": ' + b"1" * (size * 5) + b"}"
    check_problem(await client.post(DRY, content=digits, headers=JSON), 400, "events.rejected")
