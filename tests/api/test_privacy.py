"""`/v1/privacy/deletions`: what is asked for, what is answered, and what is kept of it."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis import Redis

from api.resources.privacy.jobs import KEPT_S
from api.resources.privacy.remover import Remover
from api.services import services_of
from contracts.clock import wall_clock_ms
from contracts.deletions import SETTLE_MS, decode_deletion, digest_user
from contracts.events import EventType
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from ops.audit.kafka_log import _read
from services import install, uninstall, unique_settings
from shop_state import make_event

PATH = "/v1/privacy/deletions"
USER = "visitor-17"
SECRET = "only the installation has it"  # noqa: S105 - of this test


class FakeWorker:
    """What a worker does with a deletion, as far as the API sees."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.keys = settings, Keys(settings.namespace, settings.partitions)
        self.redis = Redis.from_url(settings.redis_url)
        self.p = partition_of(USER, settings.partitions)

    def records(self) -> list[tuple[int, bytes, bytes]]:
        """Partition, key and value of all deletions in Kafka."""
        found = _read(self.settings, (Topics(self.settings.topic_prefix).deletions,))
        return [(m.partition() or 0, m.key() or b"", m.value() or b"") for m in found]

    def apply(self, *, offset: int = 1) -> None:
        """Apply the deletion of the visitor."""
        topic = Topics(self.settings.topic_prefix).deletions
        digest = digest_user(USER, self.settings.deletion_secret.get_secret_value())
        pipe = self.redis.pipeline(transaction=True)
        pipe.unlink(self.keys.visitor(USER))
        pipe.hset(self.keys.meta(self.p), f"off:{topic}", offset)
        pipe.hset(self.keys.forgotten(self.p), digest, wall_clock_ms() + SETTLE_MS)
        pipe.hdel(self.keys.forgetting(self.p), digest)
        pipe.execute()


@pytest.fixture
def settings(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """An installation with topics, but without Kafka where an indirect parameter is "no Kafka"."""
    if getattr(request, "param", "") == "no Kafka":
        yield unique_settings("127.0.0.1:1", redis_url, partitions=4)
        return
    bootstrap = request.getfixturevalue("kafka_bootstrap")
    made = install(unique_settings(bootstrap, redis_url, partitions=4, deletion_secret=SECRET))
    yield made
    uninstall(made)


@pytest.fixture
def worker(settings: Settings) -> Iterator[FakeWorker]:
    """A worker to be asked for what it does; everything is removed after the test."""
    worker = FakeWorker(settings)
    yield worker
    for key in worker.redis.scan_iter(match=f"{settings.namespace}:*"):
        worker.redis.unlink(key)
    worker.redis.close()


async def ask(client: httpx.AsyncClient, user_id: object = USER, **headers: str) -> httpx.Response:
    return await client.post(PATH, json={"user_id": user_id}, headers=headers)


async def await_status(client: httpx.AsyncClient, deletion_id: str, status: str) -> dict[str, object]:
    deadline = time.monotonic() + 30
    while True:
        answer = (await client.get(f"{PATH}/{deletion_id}")).json()
        if answer["status"] == status:
            return dict(answer)
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.02)


async def test_a_deletion_is_recorded_removed_searched_and_done(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    worker.redis.set(worker.keys.visitor(USER), b"state")
    response = await ask(client)
    answer = response.json()
    assert (response.status_code, answer["status"]) == (202, "pending")
    assert response.headers["location"] == f"{PATH}/{answer['deletion_id']}"
    assert response.headers["cache-control"] == "no-store"
    ((p, key, value),) = worker.records()
    record = decode_deletion(value)
    assert (p, key.decode()) == (worker.p, record.digest)
    assert record.digest == digest_user(USER, SECRET)
    assert record.deletion_id == answer["deletion_id"]
    assert USER.encode() not in key + value
    worker.apply()
    done = await await_status(client, answer["deletion_id"], "done")
    assert (done["removed"], done["remaining"], done["returned"]) == ({"state": 1}, 0, False)
    fields: dict[Any, Any] = worker.redis.hgetall(worker.keys.deletion(answer["deletion_id"]))
    assert USER.encode() not in b"".join([*fields.keys(), *fields.values()])
    assert 0 < worker.redis.ttl(worker.keys.deletion(answer["deletion_id"])) <= KEPT_S
    assert not worker.redis.exists(worker.keys.deletions_open(), worker.keys.deletions_by_digest())


async def test_the_same_is_answered_while_a_deletion_is_under_way_and_another_one_after(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    first, second = await ask(client), await ask(client)
    assert first.json()["deletion_id"] == second.json()["deletion_id"]
    assert len(worker.records()) == 1
    worker.apply()
    await await_status(client, first.json()["deletion_id"], "done")
    third = await ask(client)
    assert third.json()["deletion_id"] != first.json()["deletion_id"]
    assert len(worker.records()) == 2


async def test_an_idempotency_key_finds_its_deletion_also_when_it_is_done(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    first = await ask(client, **{"Idempotency-Key": "k1"})
    worker.apply()
    done = await await_status(client, first.json()["deletion_id"], "done")
    again = await ask(client, **{"Idempotency-Key": "k1"})
    assert again.json() == done
    other = await ask(client, "somebody else", **{"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key.reused")
    assert len(worker.records()) == 1


async def test_what_still_names_the_visitor_keeps_a_deletion_from_being_done(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    deletion_id = (await ask(client)).json()["deletion_id"]
    worker.redis.set(f"{worker.settings.namespace}:somewhere", f"about {USER}")
    worker.apply()
    deadline = time.monotonic() + 30
    while not (answer := (await client.get(f"{PATH}/{deletion_id}")).json())["remaining"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (answer["status"], answer["remaining"]) == ("removing", 1)


async def test_nobody_is_removed_before_the_worker_has_read_the_record(
    client: httpx.AsyncClient, app: FastAPI, worker: FakeWorker
) -> None:
    deletion_id = (await ask(client)).json()["deletion_id"]
    worker.apply(offset=0)
    worker.redis.zadd(worker.keys.deletions_open(), {deletion_id: 0})
    await services_of(app).get(Remover).advance()
    assert (await client.get(f"{PATH}/{deletion_id}")).json()["status"] == "pending"


@pytest.mark.parametrize("settings", ["no Kafka"], indirect=True)
@pytest.mark.usefixtures("worker")
async def test_without_kafka_nothing_is_promised(client: httpx.AsyncClient) -> None:
    response = await ask(client)
    assert (response.status_code, response.json()["code"]) == (503, "kafka.unavailable")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("settings", ["no Kafka"], indirect=True)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "user_id.missing"),
        ({"user_id": 17}, "user_id.not_text"),
        ({"user_id": ""}, "user_id.blank"),
        ({"user_id": " \u3000"}, "user_id.blank"),
        ({"user_id": "a\nb"}, "user_id.control_characters"),
        ({"user_id": "a" * 129}, "user_id.too_long"),
    ],
)
async def test_bad_bodies_are_named_and_not_echoed(
    client: httpx.AsyncClient, body: dict[str, object], code: str
) -> None:
    response = await client.post(PATH, json=body)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert "a" * 129 not in response.text


@pytest.mark.parametrize("settings", ["no Kafka"], indirect=True)
async def test_unknown_things_are_refused(client: httpx.AsyncClient) -> None:
    unknown = await client.get(f"{PATH}/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "deletion.unknown")
    extra = await client.post(PATH, json={"user_id": USER, "name": "Eve"})
    assert extra.status_code == 422
    assert (await client.post(f"{PATH}?x=1", json={"user_id": USER})).status_code == 422
    assert (await client.delete(f"{PATH}/nothing")).status_code == 405


async def test_an_event_of_a_deleted_visitor_is_still_taken(client: httpx.AsyncClient) -> None:
    """Whether it is applied is the stream's to say: it may be of after the deletion."""
    await ask(client)
    event = make_event(EventType.VIEW, wall_clock_ms(), user_id=USER)
    body = {"event_type": "view", "user_id": event.user_id, "product_id": event.product_id}
    assert (await client.post("/v1/events", json=body)).status_code == 202
