"""What Kafka is told beside an event: who sent it, when, from which network."""

from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.app import create_app
from api.identity.principal import Scope
from api.services import services_of
from api_keys import bearer, make_secret_key
from contracts.clock import wall_clock_ms
from contracts.dead_letters import DeadLetter, decode_dead_letter, encode_dead_letter
from contracts.events import EventType
from contracts.settings import Settings
from contracts.topics import Topics
from event_api import CART, PATH, client_of, decode_record, open_client, read_records
from stream.batch.records import read_records as read_entries


async def headers_of(settings: Settings) -> dict[str, bytes]:
    [record] = await read_records(settings, EventType.CART, 1)
    return dict(record.headers)


async def test_a_record_says_of_which_request_and_key_it_is(installation: Settings) -> None:
    app = create_app(installation)
    async with app.router.lifespan_context(app), client_of(app, "2001:db8:1:2:3:4:5:6") as client:
        key = await make_secret_key(services_of(app).reader.redis, installation, Scope.EVENTS_WRITE)
        before_ms = wall_clock_ms()
        answer = await client.post(PATH, json=CART, headers=bearer(key))
    assert answer.status_code == 202, answer.text
    headers = await headers_of(installation)
    assert before_ms <= int(headers.pop("received_ms")) <= wall_clock_ms()
    assert headers == {
        "request_id": answer.headers["x-request-id"].encode(),
        "key_id": key.key_id.encode(),
        "client_network": b"2001:db8:1::",
    }


@pytest.mark.parametrize(
    ("trusted", "network"), [("198.51.100.0/24", b"203.0.113.0"), ("192.0.2.1", b"198.51.100.0")]
)
async def test_only_a_configured_proxy_says_whom_it_speaks_for(
    installation: Settings, trusted: str, network: bytes
) -> None:
    app = create_app(installation)
    behind: Any = ProxyHeadersMiddleware(cast(Any, app), trusted_hosts=trusted)  # as uvicorn does
    async with app.router.lifespan_context(app), client_of(behind, "198.51.100.7") as client:
        forged = {"X-Forwarded-For": "10.9.9.9, 203.0.113.77"}
        assert (await client.post(PATH, json=CART, headers=forged)).status_code == 202
    assert (await headers_of(installation))["client_network"] == network


async def test_the_stream_reads_records_with_headers_and_its_dead_letters_are_whole(
    installation: Settings,
) -> None:
    topic = Topics(installation.topic_prefix).of(EventType.CART)
    async with open_client(installation) as client:
        assert (await client.post(PATH, json={**CART, "event_id": "good"})).status_code == 202
    producer = AIOKafkaProducer(bootstrap_servers=installation.bootstrap)
    await producer.start()
    await producer.send_and_wait(topic, b"{", key=b"you", headers=[("request_id", b"r1")])
    await producer.stop()
    good, bad = await read_records(installation, EventType.CART, 2)
    entries = read_entries(
        [good, bad],
        topic=topic,
        partition=good.partition,
        partitions=installation.partitions,
        default_currency="EUR",
        now_ms=good.timestamp,
    )
    assert entries[0].event == decode_record(good)
    letter = entries[1].letter
    assert isinstance(letter, DeadLetter)
    assert (letter.code, letter.value, letter.key) == ("event.not_json", b"{", b"you")
    assert decode_dead_letter(encode_dead_letter(letter)) == letter
