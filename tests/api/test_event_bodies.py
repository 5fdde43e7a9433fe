"""The forms a request with events may have, and the bodies that are refused as a whole."""

import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from api.http.bodies import MAX_BODY_BYTES, read_body
from api.http.errors import Problem
from api.services import services_of
from api_keys import ROOT_KEY, bearer, look_again, make_page_key
from contracts.settings import Settings
from event_api import (
    CART,
    DRY,
    JSON,
    NDJSON,
    PATH,
    TEXT,
    WORDS,
    check_problem,
    client_of,
    codes_of,
    lines_of,
)

GZIP = {**JSON, "content-encoding": "gzip"}
BAD = {**CART, "price": -1}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (orjson.dumps([CART, BAD]), JSON),
        (orjson.dumps([CART, BAD]), TEXT),
        (orjson.dumps([CART, BAD]), {}),
        (orjson.dumps([CART, BAD]), {"content-type": "application/x-www-form-urlencoded"}),
        (orjson.dumps({"batch": [CART, BAD]}), {"content-type": "Application/JSON; charset=utf-8"}),
        (orjson.dumps({"batch": [CART, BAD], "sent_at": None, "key": None, "consent": None}), TEXT),
        (lines_of(CART, BAD), NDJSON),
        (lines_of(b"", CART, b"\r", BAD, b""), NDJSON),
        (lines_of(CART, BAD), TEXT),
        (gzip.compress(orjson.dumps([CART, BAD])), GZIP),
        (gzip.compress(lines_of(CART, BAD)), {**NDJSON, "content-encoding": "x-gzip"}),
        (orjson.dumps([CART, BAD]), {**JSON, "content-encoding": "identity"}),
        (orjson.dumps([CART, BAD]), {"content-type": "application/json; charset=iso-8859-1"}),
        (orjson.dumps([{**CART, "name": "ü"}, BAD]), {"content-type": 'application/json; charset="UTF8"'}),
    ],
)
async def test_events_may_come_in_these_forms(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str]
) -> None:
    answer = await client.post(DRY, content=content, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert codes_of(answer) == [(1, "price.negative")]


async def test_a_bad_line_fails_no_other(client: httpx.AsyncClient) -> None:
    lines = [CART, b"{", b"\xff", b"null", {**CART, "user_id": "b"}, [CART], b'{"a": 1,}']
    for headers in (NDJSON, TEXT):
        answer = await client.post(DRY, content=lines_of(*lines), headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
        assert codes_of(answer) == [
            (1, "event.not_json"),
            (2, "event.not_json"),
            (3, "event.not_object"),
            (5, "event.not_object"),
            (6, "event.not_json"),
        ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body.empty"),
        (b" \n ", "body.empty"),
        (b"{", "body.not_json"),
        (b"[{}] {}", "body.not_json"),
        (b'{"user_id": "visitors-words\xff"}', "events.rejected"),
        (b'{"price": NaN}', "events.rejected"),
        (b'{"price": nan}', "body.not_json"),
        (b'{"user_id": "visitors-words}', "body.not_json"),
        (b"\xef\xbb\xbf{}", "events.rejected"),
        (b"\xef\xbb\xbf", "body.not_json"),
        (b"{}\x00", "body.not_json"),
        (b"[" * 2_000, "body.not_json"),
        (b"[]", "body.no_events"),
        (b"null", "body.not_events"),
        (b"12", "body.not_events"),
        (b'"visitors-words"', "body.not_events"),
        (b"[" + b",".join([b"{}"] * 1_001) + b"]", "body.too_many_events"),
        (b"[" + b",".join([b"{}"] * 200_000) + b"]", "body.too_many_events"),
        (b'{"batch": []}', "body.no_events"),
        (b'{"batch": {}}', "batch.not_list"),
        (b'{"batch": [{}], "visitors-words": 1}', "body.unknown_field"),
        (b'{"batch": [{}], "batch": [{}]}', "body.repeated_field"),
        (b'{"batch": [{}], "key": "a", "\\u006bey": "b"}', "body.repeated_field"),
        (b'{"batch": [{}], "sent_at": NaN}', "sent_at.not_time"),
        (b'{"batch": [{}], "key": 1}', "key.not_string"),
        (b'{"batch": [{}], "sent_at": "visitors-words"}', "sent_at.not_time"),
        (b'{"batch": [{}], "sent_at": true}', "sent_at.not_time"),
        (b'{"batch": [{}], "sent_at": "2025-01-01T00:00:00"}', "sent_at.naive"),
        (b'{"batch": [{}], "sent_at": 1700000000}', "sent_at.too_early"),
    ],
)
async def test_a_body_without_events_is_refused(client: httpx.AsyncClient, body: bytes, code: str) -> None:
    check_problem(await client.post(PATH, content=body, headers=JSON), 400, code)


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"{\n", TEXT, "body.not_json"),
        (b'{\n"event_type": "visitors-words"\n', TEXT, "body.not_json"),
        (b"\n".join([b"{}"] * 1_001), TEXT, "body.too_many_events"),
        (b"\n".join([b"{}"] * 1_001), NDJSON, "body.too_many_events"),
        (b"\n".join([b"["] * 1_001), TEXT, "body.not_json"),
        (b"\n\n", NDJSON, "body.empty"),
    ],
)
async def test_lines_that_are_no_events_are_refused(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str], code: str
) -> None:
    check_problem(await client.post(PATH, content=body, headers=headers), 400, code)


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"event_type=cart", {}, "content_type.unsupported"),
        (
            b"event_type=cart",
            {"content-type": "application/x-www-form-urlencoded"},
            "content_type.unsupported",
        ),
        (b"<event/>", {"content-type": WORDS}, "content_type.unsupported"),
        (b"{}\n{}", {"content-type": "text/csv"}, "content_type.unsupported"),
        (
            b'{"name": "\xfc"}',
            {"content-type": "application/json; charset=iso-8859-1"},
            "content_type.unsupported",
        ),
        (b"{}", {**JSON, "content-encoding": "br"}, "content_encoding.unsupported"),
        (b"{}", {**JSON, "content-encoding": "gzip, gzip"}, "content_encoding.unsupported"),
        (b"{}", {**JSON, "content-encoding": WORDS}, "content_encoding.unsupported"),
    ],
)
async def test_what_is_no_json_and_says_so_is_refused(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], code: str
) -> None:
    check_problem(await client.post(PATH, content=content, headers=headers), 415, code)


async def test_parameters_and_methods_are_refused(client: httpx.AsyncClient) -> None:
    check_problem(await client.post(f"{PATH}?{WORDS}=1", json=CART), 422, "query.unknown")
    check_problem(await client.post(f"{PATH}?validate=1&{WORDS}=1", json=CART), 422, "query.unknown")
    check_problem(await client.post(f"{PATH}?validate={WORDS}", json=CART), 422, "validate.not_allowed")
    for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE"):
        answer = await client.request(method, PATH)
        check_problem(answer, 405, "method.not_allowed")
        assert answer.headers["allow"] == "POST"
    assert (await client.head(PATH)).status_code == 405


async def test_a_dry_run_gives_the_verdicts_and_sends_nothing(client: httpx.AsyncClient) -> None:
    refused = await client.post(DRY, json=[BAD, BAD])
    problem = check_problem(refused, 400, "events.rejected")
    assert [error["code"] for error in problem["errors"]] == ["price.negative"] * 2
    mixed = await client.post(DRY, json=[CART, BAD])
    assert (mixed.status_code, mixed.json()["dry_run"], mixed.json()["rejected"]) == (200, True, 1)
    metrics = (await client.get("/metrics")).text
    assert 'storepulse_api_events_total{code="",result="valid"} 1.0' in metrics
    assert 'result="accepted"' not in metrics
    assert 'result="rejected"' not in metrics


async def test_gzip_that_is_not_whole_is_refused(client: httpx.AsyncClient) -> None:
    whole = gzip.compress(orjson.dumps([CART] * 20))
    spoilt = bytearray(whole)
    spoilt[20] ^= 0xFF
    wrong_sum = whole[:-8] + bytes(8)
    for content in (whole[:-4], whole[:11], bytes(spoilt), wrong_sum, whole + b"x", whole * 2, b"{}"):
        answer = await client.post(PATH, content=content, headers=GZIP)
        check_problem(answer, 400, "body.not_gzip")
    assert (await client.post(PATH, content=zlib.compress(b"{}"), headers=GZIP)).status_code == 400
    check_problem(await client.post(PATH, content=b"", headers=GZIP), 400, "body.empty")


def bomb(n_bytes: int) -> Iterator[bytes]:
    """So many zeros as one gzip member, in the chunks a client would send."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    megabyte = bytes(1024 * 1024)
    for _ in range(n_bytes // len(megabyte)):
        yield deflate.compress(megabyte)
    yield deflate.flush()


async def test_a_gzip_bomb_is_inflated_no_further_than_the_limit(client: httpx.AsyncClient) -> None:
    content = b"".join(bomb(256 * 1024 * 1024))
    assert len(content) < MAX_BODY_BYTES
    answer = await client.post(PATH, content=content, headers=GZIP)
    check_problem(answer, 413, "body.too_large")

    taken: list[int] = []

    async def receive() -> dict[str, Any]:
        start = sum(taken)
        taken.append(1_024)
        return {"type": "http.request", "body": content[start : start + 1_024], "more_body": True}

    with pytest.raises(Problem, match="also after decompression") as bombed:
        await read_body(receive, gzip=True)
    assert bombed.value.status == 413
    assert len(taken) <= 4, "it was read to the end"


async def chunks_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_is_read_no_further_than_its_limit(client: httpx.AsyncClient) -> None:
    declared = await client.post(PATH, content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    check_problem(declared, 413, "body.too_large")
    chunked = await client.post(PATH, content=chunks_of(b" " * MAX_BODY_BYTES, b" "), headers=JSON)
    check_problem(chunked, 413, "body.too_large")
    largest = await client.post(PATH, content=b" " * MAX_BODY_BYTES, headers=JSON)
    check_problem(largest, 400, "body.empty")


async def test_a_body_that_breaks_off_is_given_up() -> None:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    with pytest.raises(Problem, match="closed before the body was complete"):
        await read_body(receive)


@pytest.mark.parametrize("settings", [{"root_key": ROOT_KEY}], indirect=True)
async def test_a_beacon_may_bring_its_key_in_the_body(app: FastAPI, settings: Settings) -> None:
    page = await make_page_key(services_of(app).reader.redis, settings)
    look_again(app)
    at_shop = {"content-type": "text/plain", "origin": "https://shop.example"}
    async with client_of(app) as client:
        batch = {"batch": [CART, {**CART, "event_type": "purchase"}], "key": str(page)}
        answer = await client.post(DRY, json=batch, headers=at_shop)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
        assert answer.json()["errors"][0]["code"] == "purchase.not_allowed"
        elsewhere = {**at_shop, "origin": "https://other.example"}
        check_problem(await client.post(DRY, json=batch, headers=elsewhere), 403, "key.origin")
        none = await client.post(DRY, json={"batch": [CART]}, headers=at_shop)
        check_problem(none, 401, "key.missing")
        both = await client.post(DRY, json=batch, headers={**at_shop, **bearer(ROOT_KEY)})
        assert both.status_code == 401
        secret = {"batch": [CART], "key": ROOT_KEY}
        assert (await client.post(DRY, json=secret, headers=at_shop)).status_code == 401
