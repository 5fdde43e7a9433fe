"""The paths of Segment's libraries and of GA4's senders, on real Kafka: answers, keys, and what arrives."""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.http.bodies import MAX_BODY_BYTES
from api.identity.principal import Scope
from api.services import services_of
from api_keys import SHOP, bearer, make_page_key, make_secret_key
from contracts.events import GUEST, LOGGED_OUT, statement_in
from contracts.settings import Settings
from event_api import check_problem
from event_log import read_event_log

GOLDEN = Path(__file__).parent / "golden"
WORDS = "visitors-words"
GOOGLES = "a-secret-of-somebody-else"


def golden(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())["body"]
    return body


def timeless(body: dict[str, Any]) -> bytes:
    """The body without its times, which are not of today: it happened now."""
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    for name in ("timestamp", "originalTimestamp", "sentAt", "timestamp_micros"):
        text = text.replace(f'"{name}"', f'"was_{name}"')
    return text.encode()


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
    """A client of a started application."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client, app


async def test_calls_of_segment_arrive_and_are_answered_as_segment_answers(installation: Settings) -> None:
    async with open_client(installation) as (client, _):
        view = await client.post(
            "/v1/t", content=timeless(golden("segment_track_view")), headers={"content-type": "text/plain"}
        )
        batch = await client.post(
            "/v1/batch",
            content=gzip.compress(timeless(golden("segment_batch_python"))),
            headers={"content-type": "application/json", "content-encoding": "gzip"},
        )
        metrics = (await client.get("/metrics")).text
    assert (view.status_code, batch.status_code) == (200, 200)
    assert view.headers["cache-control"] == "no-store"
    assert view.json()["success"] is batch.json()["success"] is True
    assert (view.json()["accepted"], view.json()["ignored"]) == (1, 0)
    assert (batch.json()["accepted"], batch.json()["ignored"], batch.json()["errors"]) == (3, 1, [])
    events = [e for e in read_event_log(installation) if statement_in(e) is None]
    found = [(e.event_type.value, e.user_id, e.product_id) for e in events]
    assert found[0] == ("view", "b10c2494-d978-4960-86e9-296910346465", "507f1f77bcf86cd799439011")
    assert sorted(found[1:]) == [
        ("cart", "anon-1", "46493-32"),
        ("refund", "user-97", ""),
        ("remove_from_cart", "user-97", "p1"),
    ]
    assert 'storepulse_api_events_total{code="segment.no_counterpart",result="ignored"} 1.0' in metrics


async def test_an_order_arrives_as_lines_however_often_it_is_sent(installation: Settings) -> None:
    order = timeless(golden("segment_track_order"))
    purchase = timeless(golden("ga4_purchase"))
    async with open_client(installation) as (client, _):
        for _ in range(2):
            assert (await client.post("/v1/track", content=order)).json()["accepted"] == 1
            answer = await client.post("/mp/collect", content=purchase)
            assert (answer.status_code, answer.content) == (204, b"")
    events = read_event_log(installation)
    assert len(events) == 8
    assert len({event.event_id for event in events}) == 4
    of_segment = {e.event_id: e for e in events if e.order_id == "50314b8e9bcf000000000000"}
    of_ga4 = {e.event_id: e for e in events if e.order_id == "T_12345"}
    assert sum((e.price_minor or 0) * e.quantity for e in of_segment.values()) == 2_250
    assert sum((e.price_minor or 0) * e.quantity for e in of_ga4.values()) == 2_542


async def test_refused_calls_are_named_by_their_place_and_fail_no_other(installation: Settings) -> None:
    body = golden("segment_batch_refused")
    body["batch"].append(
        {"type": "track", "event": "Product Viewed", "userId": "u", "properties": {"id": "p"}}
    )
    async with open_client(installation) as (client, _):
        answer = (await client.post("/v1/batch", json=body)).json()
        only_bad = await client.post("/v1/batch", json=golden("segment_batch_refused"))
    assert (answer["accepted"], answer["rejected"], answer["ignored"]) == (2, 6, 1)
    assert [(e["index"], e["event_id"]) for e in answer["errors"]] == [
        (0, None), (1, "m-1"), (2, "m-2"), (4, "m-4"), (6, "m-5"), (7, "m-6"),
    ]  # fmt: skip
    assert (only_bad.status_code, only_bad.json()["accepted"]) == (200, 1)


async def test_the_validation_server_says_what_is_wrong_and_keeps_nothing(installation: Settings) -> None:
    query = {"measurement_id": "G-1", "api_secret": GOOGLES}
    async with open_client(installation) as (client, _):
        bad = await client.post("/debug/mp/collect", params=query, json=golden("ga4_refused"))
        good = await client.post("/debug/mp/collect", content=timeless(golden("ga4_purchase")))
        collected = await client.post("/mp/collect", params=query, json=golden("ga4_refused"))
        odd = await client.post("/mp/collect", json={"client_id": "c"})
        metrics = (await client.get("/metrics")).text
    assert good.json() == {"validationMessages": []}
    assert len(bad.json()["validationMessages"]) == 6
    assert set(bad.json()["validationMessages"][0]) == {"fieldPath", "description", "validationCode"}
    assert (collected.status_code, odd.status_code) == (204, 204)
    assert [event.event_type.value for event in read_event_log(installation)] == ["refund"]
    assert 'storepulse_api_events_total{code="currency.unknown",result="rejected"}' in metrics
    assert 'storepulse_api_events_total{code="events.not_list",result="rejected"} 1.0' in metrics


async def test_a_guest_who_logs_in_and_buys_is_one_visitor_and_one_customer(installation: Settings) -> None:
    guest, both = {"anonymousId": "g"}, {"anonymousId": "g", "userId": "c"}
    product = {"product_id": "p1", "price": 300}
    calls = [
        {"type": "track", "event": "Product Added", "messageId": "1", **guest, "properties": product},
        {"type": "identify", "messageId": "2", **both, "traits": {"email": "x@example.com"}},
        {"type": "alias", "messageId": "3", "previousId": "g", "userId": "c"},
        {"type": "track", "event": "Order Completed", "messageId": "4", **both}
        | {"properties": {"order_id": "o", "revenue": 300, "products": [product]}},
    ]
    more = (
        ("identify", {"messageId": "5", **both}),
        ("i/", {"messageId": "6", "anonymousId": "g", "userId": None}),
        ("alias", {"messageId": "7", "previousId": "g", "userId": "c"}),
    )
    async with open_client(installation) as (client, _):
        answer = await client.post("/v1/batch", json={"batch": calls})
        singles = [await client.post(f"/v1/{path}", json=call) for path, call in more]
    assert (answer.json()["accepted"], answer.json()["errors"]) == (4, [])
    assert [(one.json()["accepted"], one.json()["ignored"]) for one in singles] == [(1, 0)] * 3
    events = {event.event_id.split("#")[0]: event for event in read_event_log(installation)}
    assert {event.user_id for event in events.values()} == {"g"}
    assert {n: events[n].customer_id for n in sorted(events)} == {
        "1": GUEST, "2": "c", "3": "c", "4": "c", "5": "c", "6": LOGGED_OUT, "7": "c",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch", "/v1/page", "/mp/collect", "/debug/mp/collect"])
@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "body.not_json"),
        (b"{", {}, 400, "body.not_json"),
        (b"\xff", {}, 400, "body.not_json"),
        (b'["visitors-words"]', {}, 400, "body.not_object"),
        (b"x" * (MAX_BODY_BYTES + 1), {}, 413, "body.too_large"),
        (b"{}", {"content-encoding": "br"}, 415, "content_encoding.unsupported"),
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), {"content-encoding": "gzip"}, 413, "body.too_large"),
    ],
)
async def test_only_what_is_no_body_at_all_is_an_error(
    client: httpx.AsyncClient, path: str, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.post(path, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert WORDS not in answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "batch.not_list"),
        ({"batch": {}}, "batch.not_list"),
        ({"batch": [{}] * 1_001}, "body.too_many_events"),
    ],
)
async def test_a_batch_must_be_a_list_of_calls(client: httpx.AsyncClient, body: Any, code: str) -> None:
    answer = await client.post("/v1/batch", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


GTAGS = "v=2&tid=G-1&gtm=45je&_p=1700000000000&_z=fetch&cid=1.2&cid=1.3&en&=&z=%zz&_s=1&tag_exp=a~b&" + WORDS


async def test_parameters_that_senders_add_are_ignored(installation: Settings) -> None:
    long = f"firebase_app_id={'1' * 900}&measurement_id=G-1&measurement_id=G-2&{GTAGS}"
    purchase = timeless(golden("ga4_purchase"))
    async with open_client(installation) as (client, _):
        for query in (GTAGS, f"api_secret=any&{long}"):
            for path in ("/mp/collect", "/mp/collect/"):
                assert (await client.post(f"{path}?{query}", content=purchase)).status_code == 204
            assert (await client.post(f"/debug/mp/collect?{query}", content=purchase)).status_code == 200
        for path in ("track", "batch", "page", "identify", "alias", "t/", "import"):
            answer = await client.post(f"/v1/{path}?{GTAGS}", json={"batch": []})
            assert answer.status_code == 200, (path, answer.text)
        twice = await client.post("/mp/collect?api_secret=a&api_secret=b", content=purchase)
        ours = await client.post(f"/v1/events?{WORDS}=1", json={})
    check_problem(twice, 401, "key.several")
    check_problem(ours, 422, "query.unknown")


async def test_without_kafka_senders_are_told_to_try_again(client: httpx.AsyncClient) -> None:
    for path, name in (("/v1/track", "segment_track_view"), ("/mp/collect", "ga4_app")):
        answer = await client.post(path, content=timeless(golden(name)))
        assert (answer.status_code, answer.json()["code"]) == (503, "kafka.unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_keys_come_as_each_sender_sends_them(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    redis = services_of(app).reader.redis
    page = await make_page_key(redis, settings)
    server = await make_secret_key(redis, settings, Scope.EVENTS_WRITE)
    reader = await make_secret_key(redis, settings, Scope.INSIGHTS_READ)
    basic = {"Authorization": "Basic " + base64.b64encode(f"{server}:".encode()).decode()}
    text = {"content-type": "text/plain"}

    async def status(path: str, body: dict[str, Any], headers: dict[str, str], **query: str) -> int:
        return (await client.post(path, json=body, headers=headers, params=query)).status_code

    ignored: dict[str, Any] = {"event": "Signed Up"}
    keyed = ignored | {"writeKey": str(page)}
    assert await status("/v1/track", ignored, {}) == 401
    assert await status("/v1/track", ignored, text) == 401
    assert await status("/v1/track", ignored, basic) == 200
    assert await status("/v1/track", ignored | {"writeKey": str(server)}, basic) == 200
    assert await status("/v1/track", keyed, basic) == 401
    assert await status("/v1/track", keyed, {**text, "origin": SHOP}) == 200
    assert await status("/v1/page", keyed, {**text, "origin": SHOP}) == 200
    assert await status("/v1/track", keyed, {**text, "origin": "https://other.example"}) == 403
    assert await status("/v1/track", ignored | {"writeKey": str(server)}, text) == 401
    assert await status("/v1/track", ignored, bearer(reader)) == 403

    empty: dict[str, Any] = {"client_id": "c", "events": []}
    assert await status("/mp/collect", empty, {}) == 401
    assert await status("/mp/collect", empty, {}, api_secret=GOOGLES) == 401
    assert await status("/mp/collect", empty, {}, api_secret=str(server)) == 401
    assert await status("/mp/collect", empty, {"origin": SHOP}, api_secret=str(page)) == 204
    assert await status("/mp/collect", empty, bearer(server), api_secret=GOOGLES) == 204
    assert await status("/debug/mp/collect", empty, {}) == 401


async def test_pages_may_not_buy_in_the_name_of_their_visitors(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    page = await make_page_key(services_of(app).reader.redis, settings)
    body = golden("segment_track_order") | {"writeKey": str(page)}
    answer = await client.post(
        "/v1/track", content=timeless(body), headers={"content-type": "text/plain", "origin": SHOP}
    )
    assert [error["code"] for error in answer.json()["errors"]] == ["purchase.not_allowed"]
