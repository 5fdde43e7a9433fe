"""Who may read, stream and handle alerts where keys are needed."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from redis.asyncio import Redis

from alert_makers import make_alert
from api.identity.key_store import KeyStore
from api.identity.key_text import KeyText
from api.identity.principal import Scope
from api_keys import bearer, make_secret_key
from api_nursery import ApiNursery
from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.ports import pick_port
from shop_state import ShopState

STREAM = "/v1/alerts/stream"
TIMEOUT_S = 30.0


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    redis = open_redis_pool(settings)
    yield redis
    await redis.aclose()


@pytest.fixture
async def reading(redis: Redis, settings: Settings) -> KeyText:
    return await make_secret_key(redis, settings, Scope.ALERTS_READ)


@pytest.fixture
def nursery(settings: Settings, reading: KeyText) -> Iterator[ApiNursery]:
    del reading  # with a key made, keys are needed
    with ApiNursery(settings.model_copy(update={"api_port": pick_port()})) as nursery:
        nursery.start()
        yield nursery


@pytest.fixture
async def session(nursery: ApiNursery) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(nursery.url) as session:
        yield session


async def test_a_stream_needs_a_key_before_its_first_byte(
    session: aiohttp.ClientSession, redis: Redis, settings: Settings, reading: KeyText
) -> None:
    other = await make_secret_key(redis, settings, Scope.INSIGHTS_READ)
    for headers, status in (({}, 401), (bearer("sk_live_nobody"), 401), (bearer(other), 403)):
        async with session.get(STREAM, headers=headers) as response:
            assert (response.status, response.content_type) == (status, "application/problem+json")
        async with session.post("/v1/stream-tickets", headers=headers) as response:
            assert response.status == status
    async with session.get(f"{STREAM}?ticket={reading}") as response:
        assert response.status == 401, "a key is no ticket"
    async with session.get(STREAM, headers=bearer(reading)) as response:
        assert response.status == 200


async def test_a_ticket_reads_alerts_for_its_key_and_opens_nothing_else(
    session: aiohttp.ClientSession, reading: KeyText
) -> None:
    async with session.post("/v1/stream-tickets", headers=bearer(reading)) as answer:
        ticket = (await answer.json())["ticket"]
    async with session.get(f"/v1/alerts?ticket={ticket}") as response:
        assert response.status == 401
    async with session.get(f"{STREAM}?ticket={ticket}") as response:
        assert response.status == 200


@pytest.mark.parametrize("opened_with", ["key", "ticket"])
async def test_a_revoked_key_hears_nothing_more(
    session: aiohttp.ClientSession,
    redis: Redis,
    settings: Settings,
    state: ShopState,
    reading: KeyText,
    opened_with: str,
) -> None:
    url, headers = STREAM, bearer(reading)
    if opened_with == "ticket":
        async with session.post("/v1/stream-tickets", headers=headers) as answer:
            url, headers = f"{STREAM}?ticket={(await answer.json())['ticket']}", {}
    async with session.get(url, headers=headers) as response:
        assert response.status == 200
        store = KeyStore(redis, Keys(settings.namespace, settings.partitions))
        await store.revoke(reading.key_id, wall_clock_ms())
        listening = asyncio.create_task(response.content.read())
        number = 0
        async with asyncio.timeout(TIMEOUT_S):
            while not listening.done():  # the process knows keys by a copy that is a little old
                state.publish_alerts([make_alert(number)])
                state.flush()
                number += 1
                await asyncio.sleep(0.2)
    async with session.get(STREAM, headers=bearer(reading)) as response:
        assert response.status == 401


async def test_reading_is_not_writing(
    session: aiohttp.ClientSession, redis: Redis, settings: Settings, state: ShopState, reading: KeyText
) -> None:
    state.publish_alerts([make_alert(0)])
    state.flush()
    writing = await make_secret_key(redis, settings, Scope.ALERTS_WRITE)
    for path, body in (
        ("acknowledge", None),
        ("snooze", {"for_s": 60}),
        ("feedback", {"verdict": "useful"}),
    ):
        url = f"/v1/alerts/id0/{path}"
        for headers, status in (({}, 401), (bearer(reading), 403)):
            async with session.post(url, json=body, headers=headers) as answer:
                assert answer.status == status
            async with session.delete(url, headers=headers) as answer:
                assert answer.status == status
        async with session.post(url, json=body, headers=bearer(writing)) as answer:
            assert answer.status == 200, await answer.text()
            handling = (await answer.json())["handling"]
    assert (handling["by"], handling["feedback"]["by"]) == (writing.key_id, writing.key_id)
    for path in ("/v1/alerts", "/v1/alerts.csv", "/v1/alerts/id0"):
        async with session.get(path, headers=bearer(writing)) as answer:
            assert answer.status == 403
        async with session.get(path, headers=bearer(reading)) as answer:
            assert answer.status == 200
