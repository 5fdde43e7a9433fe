"""The API for events as tests use it: a client, what Kafka then has, and how refusals look."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from starlette.types import ASGIApp

from api.app import create_app
from contracts.events import Event, EventType, decode
from contracts.settings import Settings
from contracts.topics import Topics

PATH = "/v1/events"
DRY = "/v1/events?validate=1"
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
TEXT = {"content-type": "text/plain;charset=UTF-8"}
CART = {"event_type": "cart", "user_id": "you", "product_id": "p00054", "price": "19.90", "currency": "EUR"}
WORDS = "visitors-words"
"""Text that no answer may repeat."""


@asynccontextmanager
async def open_client(settings: Settings, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """A client of a started application, which sees it at this address."""
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app, address) as client:
        yield client


def client_of(app: ASGIApp, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client of an application that runs."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


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
    """The event in a record."""
    return decode(record.value, received_ms=record.timestamp, default_currency="USD")


def lines_of(*elements: object) -> bytes:
    """The elements as lines of JSON; bytes are lines as they are."""
    return b"\n".join(each if isinstance(each, bytes) else orjson.dumps(each) for each in elements)


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, which must not repeat what was sent."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert WORDS not in answer.text
    problem: dict[str, Any] = answer.json()
    return problem


def codes_of(answer: httpx.Response) -> list[tuple[int, str]]:
    """Place and code of each refusal, in a receipt or a problem."""
    return [(error["index"], error["code"]) for error in answer.json()["errors"]]
