"""`POST /v1/events`: what is taken, what is refused, and what Kafka has to say to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from api.app import create_app
from api.errors import Problem
from api.events_document import EVENT_SCHEMA, REQUEST_BODY
from api.intake import MAX_BODY_BYTES, read_body
from api.verdicts import Rules, judge
from contracts import events
from contracts.events import MAX_EVENT_BYTES, Event, EventType, decode
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from ops.broker import KafkaBroker
from services import install, unique_settings

JSON = {"content-type": "application/json"}
CART = {"event_type": "cart", "user_id": "you", "product_id": "p00054", "price": "19.90", "currency": "EUR"}
WORDS = "visitors-words"


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a started application."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def read_records(settings: Settings, event_type: EventType, count: int) -> list[ConsumerRecord]:
    """The first `count` records of the topic of this type."""
    topic = Topics(settings.topic_prefix).of(event_type)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, p) for p in range(settings.partitions)])
        return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(count)]
    finally:
        await consumer.stop()


def decode_record(record: ConsumerRecord) -> Event:
    return decode(record.value, received_ms=record.timestamp, default_currency="USD")


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, which must not repeat what was sent."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert WORDS not in answer.text
    problem: dict[str, Any] = answer.json()
    return problem


async def test_an_event_is_in_kafka_when_it_is_accepted(installation: Settings) -> None:
    before_ms = time.time_ns() // 1_000_000
    async with open_client(installation) as client:
        answer = await client.post("/v1/events", json=CART)
        metrics = (await client.get("/metrics")).text
        ready = (await client.get("/readyz")).json()
    assert answer.status_code == 202
    receipt = answer.json()
    assert receipt.pop("request_id")
    assert receipt == {"accepted": 1, "rejected": 0, "errors": []}
    [record] = await read_records(installation, EventType.CART, 1)
    event = decode_record(record)
    assert (event.user_id, event.product_id, event.price_minor, event.currency) == (
        "you",
        "p00054",
        1_990,
        "EUR",
    )
    assert before_ms <= event.event_time_ms <= time.time_ns() // 1_000_000
    assert len(event.event_id) == 24
    assert 'storepulse_api_events_total{code="",result="accepted"} 1.0' in metrics
    assert "storepulse_api_ack_seconds_count 1.0" in metrics
    assert ready["parts"]["kafka"] == {"status": "ok", "detail": "answers and has the event topics"}


async def test_of_an_array_the_good_events_are_taken_and_the_others_named(installation: Settings) -> None:
    array = [
        {**CART, "event_id": "e0", "currency": None},
        {**CART, "event_id": "e1", "price": -1},
        WORDS,
        {**CART, "event_type": WORDS, "event_id": [WORDS]},
        {**CART, "event_type": "purchase", "event_id": "e4", "order_id": "o1", "colour": "red"},
        {**CART, "event_id": "e5", "user_session": "s5", "category_code": "shoes"},
        {**CART, "event_id": "e6", "note": "x" * MAX_EVENT_BYTES},
    ]
    async with open_client(installation) as client:
        answer = await client.post("/v1/events", json=array)
        metrics = (await client.get("/metrics")).text
    assert answer.status_code == 202
    receipt = answer.json()
    assert (receipt["accepted"], receipt["rejected"]) == (3, 4)
    assert [(e["index"], e["code"], e["event_id"]) for e in receipt["errors"]] == [
        (1, "price.negative", "e1"),
        (2, "event.not_object", None),
        (3, "event_type.unknown", None),
        (6, "event.too_large", "e6"),
    ]
    assert WORDS not in answer.text
    carts = [decode_record(r) for r in await read_records(installation, EventType.CART, 2)]
    assert [(e.event_id, e.currency, e.session_id, e.category) for e in carts] == [
        ("e0", installation.currency, None, None),
        ("e5", "EUR", "s5", "shoes"),
    ]
    [purchase] = [decode_record(r) for r in await read_records(installation, EventType.PURCHASE, 1)]
    assert (purchase.event_id, purchase.extra) == ("e4", {"colour": "red"})
    assert 'storepulse_api_events_total{code="",result="accepted"} 3.0' in metrics
    assert 'storepulse_api_events_total{code="price.negative",result="rejected"} 1.0' in metrics


async def test_each_visitor_is_in_the_partition_where_the_stream_looks(installation: Settings) -> None:
    users = [f"visitor-{n}" for n in range(60)] + ["käse 🧀", "a:b{c}", "x" * 128]
    views = [{"event_type": "view", "user_id": user, "product_id": "p1"} for user in users]
    async with open_client(installation) as client:
        assert (await client.post("/v1/events", json=views)).json()["accepted"] == len(users)
    records = await read_records(installation, EventType.VIEW, len(users))
    assert {r.key.decode(): r.partition for r in records} == {
        user: partition_of(user, installation.partitions) for user in users
    }


async def test_beacons_and_small_clients_may_say_text_plain(embedded_installation: Settings) -> None:
    async with open_client(embedded_installation) as client:
        for content_type in ("text/plain;charset=UTF-8", "Application/JSON; charset=utf-8"):
            answer = await client.post(
                "/v1/events", content=orjson.dumps(CART), headers={"content-type": content_type}
            )
            assert answer.status_code == 202


async def test_the_embedded_broker_takes_events_too(embedded_installation: Settings) -> None:
    favorites = [{**CART, "event_type": "favorite", "user_id": f"u{n}"} for n in range(1_000)]
    async with open_client(embedded_installation) as client:
        assert (await client.post("/v1/events", json=favorites)).json()["accepted"] == 1_000
        assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "ok"
    records = await read_records(embedded_installation, EventType.FAVORITE, 1_000)
    assert {decode_record(r).user_id for r in records} == {f"u{n}" for n in range(1_000)}
    assert all(r.partition == partition_of(r.key.decode(), embedded_installation.partitions) for r in records)


async def test_a_refused_single_event_is_a_problem_that_says_why(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events", json={**CART, "event_id": "e1", "user_id": WORDS * 20})
    problem = check_problem(answer, 400, "events.rejected")
    assert problem["errors"] == [
        {
            "index": 0,
            "code": "user_id.too_long",
            "detail": "user_id must have at most 128 characters, got 280",
            "event_id": "e1",
        }
    ]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({**CART, "event_time": 1_700_000_000}, "event_time.too_early"),
        ({**CART, "event_time": "2099-01-01T00:00:00Z"}, "event_time.in_future"),
        ({**CART, "event_time": "2025-01-01T00:00:00"}, "event_time.naive"),
        ({**CART, "event_time": WORDS}, "event_time.not_time"),
        ({**CART, "schema": 3}, "schema.unsupported"),
        ({**CART, "schema": WORDS}, "schema.unsupported"),
        ({**CART, "currency": WORDS}, "currency.unknown"),
        ({**CART, "quantity": 0}, "quantity.not_positive"),
        ({**CART, "event_id": ""}, "event_id.blank"),
        ({"event_type": "cart", "user_id": WORDS}, "product_id.missing"),
        ({}, "event_type.missing"),
        (None, "event.not_object"),
        ([], "event.not_object"),
    ],
)
async def test_all_refused_is_a_problem_with_the_code_of_each(
    client: httpx.AsyncClient, event: object, code: str
) -> None:
    answer = await client.post("/v1/events", json=[event, event])
    problem = check_problem(answer, 400, "events.rejected")
    assert [(e["index"], e["code"]) for e in problem["errors"]] == [(0, code), (1, code)]
    assert f'code="{code}",result="rejected"}} 2.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body.empty"),
        (b" \n ", "body.empty"),
        (b"{", "body.not_json"),
        (b"[{}] {}", "body.not_json"),
        (b'{"user_id": "visitors-words\xff"}', "body.not_json"),
        (b'{"price": NaN}', "body.not_json"),
        (b'{"price": 1e999}', "body.not_json"),
        (b"[" * 2_000, "body.not_json"),
        (b"[]", "body.no_events"),
        (b"null", "body.not_events"),
        (b"12", "body.not_events"),
        (b'"visitors-words"', "body.not_events"),
        (b"[" + b",".join([b"{}"] * 1_001) + b"]", "body.too_many_events"),
    ],
)
async def test_a_body_without_events_is_refused(client: httpx.AsyncClient, body: bytes, code: str) -> None:
    check_problem(await client.post("/v1/events", content=body, headers=JSON), 400, code)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "content_type.unsupported"),
        ({"content-type": "application/x-www-form-urlencoded"}, "content_type.unsupported"),
        ({"content-type": WORDS}, "content_type.unsupported"),
        ({**JSON, "content-encoding": "gzip"}, "content_encoding.unsupported"),
    ],
)
async def test_other_types_are_refused(client: httpx.AsyncClient, headers: dict[str, str], code: str) -> None:
    check_problem(await client.post("/v1/events", content=b"{}", headers=headers), 415, code)


async def test_parameters_are_refused(client: httpx.AsyncClient) -> None:
    check_problem(await client.post(f"/v1/events?{WORDS}=1", json=CART), 422, "query.unknown")
    check_problem(await client.get("/v1/events"), 405, "method.not_allowed")


async def chunks_of(parts: Sequence[bytes], then: Exception | None = None) -> AsyncIterator[bytes]:
    """The parts; then the error, or silence without end."""
    for part in parts:
        yield part
    if then is not None:
        raise then
    await asyncio.Event().wait()


async def test_a_body_is_read_no_further_than_its_limit(client: httpx.AsyncClient) -> None:
    declared = await client.post("/v1/events", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    check_problem(declared, 413, "body.too_large")
    endless = chunks_of([b" " * MAX_BODY_BYTES, b" "])
    chunked = await client.post("/v1/events", content=endless, headers=JSON)
    check_problem(chunked, 413, "body.too_large")
    assert chunked.headers["connection"] == "close"
    largest = await client.post("/v1/events", content=b" " * MAX_BODY_BYTES, headers=JSON)
    check_problem(largest, 400, "body.empty")


async def test_a_body_that_does_not_end_is_given_up() -> None:
    with pytest.raises(Problem, match="sent within") as late:
        await read_body(chunks_of([b"{"]), timeout_s=0.01)
    assert late.value.status == 408
    with pytest.raises(Problem, match="closed within the body"):
        await read_body(chunks_of([b"{"], ClientDisconnect()))


async def test_without_kafka_events_are_refused_and_reads_go_on(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/events", json=[CART, CART])
    check_problem(answer, 503, "kafka.unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "degraded"
    assert (await client.get("/v1/live")).status_code == 200
    metrics = (await client.get("/metrics")).text
    assert 'storepulse_api_events_total{code="kafka.unavailable",result="unacknowledged"} 2.0' in metrics


async def test_missing_topics_are_named(kafka_bootstrap: str, redis_url: str) -> None:
    settings = unique_settings(kafka_bootstrap, redis_url)
    async with open_client(settings) as client:
        part = (await client.get("/readyz")).json()["parts"]["kafka"]
        assert part["status"] == "degraded"
        assert all(topic in part["detail"] for topic in Topics(settings.topic_prefix).events)
        check_problem(await client.post("/v1/events", json=CART), 503, "kafka.unavailable")


async def test_events_are_taken_again_when_kafka_is_back(private_kafka: KafkaBroker, redis_url: str) -> None:
    settings = install(unique_settings(private_kafka.bootstrap, redis_url, partitions=3))
    async with open_client(settings) as client:
        assert (await client.post("/v1/events", json={**CART, "event_id": "first"})).status_code == 202
        private_kafka.kill()
        for _ in range(2):  # the connected producer, and then one that cannot connect
            answer = await client.post("/v1/events", json={**CART, "event_id": "lost"})
            check_problem(answer, 503, "kafka.unavailable")
        assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "degraded"
        await asyncio.to_thread(private_kafka.restart)
        deadline = time.monotonic() + 30
        while (await client.post("/v1/events", json={**CART, "event_id": "again"})).status_code != 202:
            assert time.monotonic() < deadline, "waited 30 s for events to be taken again"
        assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "ok"
        ids = [decode_record(r).event_id for r in await read_records(settings, EventType.CART, 2)]
        assert ids == ["first", "again"]  # what was refused is not sent later
        private_kafka.kill()
        check_problem(await client.post("/v1/events", json=CART), 503, "kafka.unavailable")
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_the_document_shows_every_field_of_the_contract() -> None:
    assert set(EVENT_SCHEMA["properties"]) == events._FIELDS
    examples = REQUEST_BODY["content"]["application/json"]["examples"]
    for example in ("one", "array"):
        value = examples[example]["value"]
        elements = value if isinstance(value, list) else [value]
        now_ms = time.time_ns() // 1_000_000
        assert not judge(elements, Rules(now_ms, "EUR")).refusals


async def test_openapi_describes_the_path(app: FastAPI, client: httpx.AsyncClient) -> None:
    post = (await client.get("/openapi.json")).json()["paths"]["/v1/events"]["post"]
    assert set(post["responses"]) >= {"202", "400", "408", "413", "415", "503"}
    assert "time of receipt" in post["description"]
    assert set(post["requestBody"]["content"]) == {"application/json", "text/plain"}
    assert app.openapi()["paths"]["/v1/events"]["post"] == post
