"""`POST /v1/events` and Kafka: what a 202 means, and what happens while Kafka is away."""

import asyncio
import time

import httpx
from fastapi import FastAPI
from kafka.admin import KafkaAdminClient, NewTopic

from api.resources.events.document import REQUEST_BODY, SCHEMAS
from api.resources.events.receipts import Receipt
from api.resources.events.validation import ValidationContext, validate
from contracts import events
from contracts.clock import wall_clock_ms
from contracts.events import MAX_EVENT_BYTES, EventType
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from event_api import (
    CART,
    PATH,
    TEXT,
    WORDS,
    check_problem,
    codes_of,
    decode_record,
    open_client,
    read_records,
)
from event_log import read_event_log
from ops.stack.broker import KafkaBroker
from services import install, uninstall, unique_settings


async def test_an_event_is_in_kafka_when_it_is_accepted(installation: Settings) -> None:
    before_ms = wall_clock_ms()
    async with open_client(installation) as client:
        answer = await client.post(PATH, json=CART)
        metrics = (await client.get("/metrics")).text
        ready = (await client.get("/readyz")).json()
    assert answer.status_code == 202
    assert answer.headers["cache-control"] == "no-store"
    receipt = answer.json()
    assert receipt.pop("request_id") == answer.headers["x-request-id"]
    assert receipt == {
        "accepted": 1,
        "duplicates": 0,
        "rejected": 0,
        "dropped": 0,
        "dedupe": "none",
        "redacted": 0,
        "clock_offset_ms": 0,
        "dry_run": False,
        "errors": [],
    }
    [record] = await read_records(installation, EventType.CART, 1)
    event = decode_record(record)
    assert (event.user_id, event.product_id, event.price_minor) == ("you", "p00054", 1_990)
    assert before_ms <= event.event_time_ms <= wall_clock_ms()
    assert len(event.event_id) == 24
    assert 'storepulse_api_events_total{code="",result="accepted"} 1.0' in metrics
    assert "storepulse_api_ack_seconds_count 1.0" in metrics
    assert f"storepulse_api_event_bytes_total {float(len(answer.request.content))}" in metrics
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
        answer = await client.post(PATH, json=array)
        metrics = (await client.get("/metrics")).text
    assert answer.status_code == 202
    receipt = answer.json()
    assert (receipt["accepted"], receipt["rejected"], receipt["dedupe"]) == (3, 4, "event_id")
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


async def test_an_order_with_items_is_one_event_and_a_line_per_item_in_kafka(installation: Settings) -> None:
    order = {
        "event_type": "purchase",
        "event_id": "e1",
        "user_id": "you",
        "order_id": "o1",
        "currency": "EUR",
        "total": "50.00",
        "items": [{"product_id": "p1", "price": "19.99"}, {"product_id": "p2", "price": "15", "quantity": 2}],
    }
    broken = {**order, "event_id": "e2", "items": [{"product_id": "p1"}, {"price": "1"}]}
    async with open_client(installation) as client:
        answer = await client.post(PATH, json=[broken, order, {**order, "total": "60.00"}])
    receipt = answer.json()
    assert (receipt["accepted"], receipt["duplicates"], receipt["rejected"]) == (1, 1, 1)
    assert codes_of(answer) == [(0, "items.product_id.missing")]
    lines = read_event_log(installation)
    assert {(e.event_id.partition("#")[0], e.order_id) for e in lines} == {("e1", "o1")}
    assert sum(e.quantity * (e.price_minor or 0) for e in lines) == 5_000


async def test_each_visitor_is_in_the_partition_where_the_stream_looks(installation: Settings) -> None:
    users = [f"visitor-{n}" for n in range(60)] + ["käse 🧀", "a:b{c}", "x" * 128]
    views = [{"event_type": "view", "user_id": user, "product_id": "p1"} for user in users]
    async with open_client(installation) as client:
        assert (await client.post(PATH, json=views)).json()["accepted"] == len(users)
    records = await read_records(installation, EventType.VIEW, len(users))
    assert {r.key.decode(): r.partition for r in records} == {
        user: partition_of(user, installation.partitions) for user in users
    }


async def test_the_embedded_broker_takes_events_too(embedded_installation: Settings) -> None:
    favorites = [{**CART, "event_type": "favorite", "user_id": f"u{n}"} for n in range(1_000)]
    async with open_client(embedded_installation) as client:
        assert (await client.post(PATH, json=favorites, headers=TEXT)).json()["accepted"] == 1_000
        assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "ok"
    records = await read_records(embedded_installation, EventType.FAVORITE, 1_000)
    assert {decode_record(r).user_id for r in records} == {f"u{n}" for n in range(1_000)}
    assert all(r.partition == partition_of(r.key.decode(), embedded_installation.partitions) for r in records)


async def test_without_kafka_events_are_refused_and_reads_go_on(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=[CART, {**CART, "user_id": "other"}])
    check_problem(answer, 503, "kafka.unavailable")
    assert answer.headers["retry-after"] in {"1", "2", "3", "4", "5"}
    assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "degraded"
    assert (await client.get("/v1/live")).status_code == 200
    metrics = (await client.get("/metrics")).text
    assert 'storepulse_api_events_total{code="kafka.unavailable",result="unacknowledged"} 2.0' in metrics
    dry = await client.post(f"{PATH}?validate=1", json=CART)
    assert (dry.status_code, dry.json()["accepted"], dry.json()["dry_run"]) == (200, 1, True)


async def test_topics_for_smaller_records_have_a_code(kafka_bootstrap: str, redis_url: str) -> None:
    settings = unique_settings(kafka_bootstrap, redis_url)
    # Made with this limit: brokers apply a change of it some time after they acknowledged it.
    small = NewTopic(
        Topics(settings.topic_prefix).of(EventType.CART),
        num_partitions=settings.partitions,
        replication_factor=1,
        topic_configs={"max.message.bytes": "2000"},
    )
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    admin.create_topics([small])
    admin.close()
    large = {**CART, "note": "x " * 2_000}
    try:
        async with open_client(install(settings)) as client:
            check_problem(await client.post(PATH, json=large), 413, "kafka.record_too_large")
            assert (await client.post(PATH, json=CART)).status_code == 202
    finally:
        uninstall(settings)


async def test_missing_topics_are_named(kafka_bootstrap: str, redis_url: str) -> None:
    settings = unique_settings(kafka_bootstrap, redis_url)
    async with open_client(settings) as client:
        part = (await client.get("/readyz")).json()["parts"]["kafka"]
        assert part["status"] == "degraded"
        assert all(topic in part["detail"] for topic in Topics(settings.topic_prefix).events)
        check_problem(await client.post(PATH, json=CART), 503, "kafka.unavailable")


async def test_events_are_taken_again_when_kafka_is_back(private_kafka: KafkaBroker, redis_url: str) -> None:
    settings = install(unique_settings(private_kafka.bootstrap, redis_url, partitions=3))
    async with open_client(settings) as client:
        assert (await client.post(PATH, json={**CART, "event_id": "first"})).status_code == 202
        private_kafka.kill()
        for _ in range(2):  # the connected producer, and then one that cannot connect
            answer = await client.post(PATH, json={**CART, "event_id": "lost"})
            check_problem(answer, 503, "kafka.unavailable")
        assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "degraded"
        await asyncio.to_thread(private_kafka.restart)
        deadline = time.monotonic() + 30
        while (await client.post(PATH, json={**CART, "event_id": "again"})).status_code != 202:
            assert time.monotonic() < deadline, "waited 30 s for events to be taken again"
        assert (await client.get("/readyz")).json()["parts"]["kafka"]["status"] == "ok"
        ids = [decode_record(r).event_id for r in await read_records(settings, EventType.CART, 2)]
        assert ids == ["first", "again"]  # what was refused is not sent later
        private_kafka.kill()
        check_problem(await client.post(PATH, json=CART), 503, "kafka.unavailable")
    # aiokafka's synchronizer may lose its cancellation where Kafka is away, and outlive its client.
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in left if "AIOKafkaClient" not in repr(task.get_coro())] == []


def test_the_document_shows_every_field_of_the_contract() -> None:
    assert set(SCHEMAS["Event"]["properties"]) >= events._FIELDS
    examples = REQUEST_BODY["content"]["application/json"]["examples"]
    shown = [example["value"] for example in examples.values()]
    for value in shown:
        elements = value if isinstance(value, list) else value.get("batch", [value])
        now_ms = wall_clock_ms()
        assert not validate(elements, ValidationContext(now_ms, "EUR")).refusals
    assert len(shown) >= 3


async def test_openapi_describes_the_path(app: FastAPI, client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    post = document["paths"][PATH]["post"]
    assert set(post["responses"]) >= {str(s) for s in (200, 202, 400, 401, 403, 408, 413, 415, 422, 429, 503)}
    assert "time of receipt" in post["description"]
    assert set(post["requestBody"]["content"]) == {"application/json", "application/x-ndjson", "text/plain"}
    for status in ("200", "202"):
        content = post["responses"][status]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Receipt"}
        Receipt.model_validate(content["example"])
    assert app.openapi()["paths"][PATH]["post"] == post
