"""`/v1/events/tail`: what becomes of events, shown to whoever watches, over all processes, and at no cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from api.app import create_app
from api.identity.key_store import KeyStore
from api.identity.principal import Scope
from api.resources.events.ingestion import Ingestion
from api.resources.events.tail_publisher import CHECK_S, Notice, TailPublisher
from api.resources.events.validation import ValidationContext, validate
from api.services import services_of
from api_keys import bearer, look_again, make_page_key, make_secret_key
from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from event_api import CART, DRY, PATH, WORDS, check_problem, client_of
from ops.stack.ports import pick_port
from served_api import ServedApi
from sse_client import Message, read_messages

TAIL = "/v1/events/tail"
TIMEOUT_S = 30.0
NOW_MS = 1_760_000_000_000


@pytest.fixture
def watched(installation: Settings) -> Iterator[ServedApi]:
    """A process of the API that others watch through."""
    served = ServedApi(installation.model_copy(update={"api_port": pick_port()}))
    served.start()
    yield served
    served.stop()


@contextlib.asynccontextmanager
async def watch(url: str, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[Message]]:
    """The messages of a tail that is ready."""
    async with (
        aiohttp.ClientSession(url) as session,
        session.get(f"{TAIL}{query}", headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        messages = read_messages(response)
        async with asyncio.timeout(TIMEOUT_S):
            assert (await anext(messages)).event == "ready"
        yield messages


async def next_requests(messages: AsyncIterator[Message], count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(TIMEOUT_S):
        return [(await anext(messages)).data for _ in range(count)]


async def test_what_one_process_takes_is_seen_through_another(
    installation: Settings, watched: ServedApi
) -> None:
    app = create_app(installation)
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.post(PATH, json=CART)).status_code == 202  # nobody is told of this one
        async with watch(watched.url) as messages:
            sent = [
                await client.post(PATH, json=[{**CART, "event_id": "e1"}, {**CART, "price": -1}]),
                await client.post(DRY, json={**CART, "event_id": "e2"}),
                await client.post(PATH, json={**CART, "event_type": WORDS}),
                await client.post(PATH, content=b"{", headers={"content-type": "application/json"}),
            ]
            shown = await next_requests(messages, 3)
    assert [answer.status_code for answer in sent] == [202, 200, 400, 400]
    assert [each["request_id"] for each in shown] == [a.headers["x-request-id"] for a in sent[:3]]
    assert (shown[0]["accepted"], shown[0]["rejected"], shown[0]["dry_run"]) == (1, 1, False)
    assert shown[0]["events"][0]["event_id"] == "e1"
    assert shown[0]["errors"][0]["code"] == "price.negative"
    assert (shown[1]["dry_run"], shown[1]["events"][0]["event_id"]) == (True, "e2")
    assert shown[2]["errors"][0]["code"] == "event_type.unknown"
    assert WORDS not in str(shown)


async def test_a_key_sees_its_own_events_and_operators_all(
    installation: Settings, watched: ServedApi
) -> None:
    app = create_app(installation)
    async with app.router.lifespan_context(app), client_of(app) as client:
        redis = services_of(app).reader.redis
        one = await make_secret_key(redis, installation, Scope.EVENTS_WRITE)
        other = await make_secret_key(redis, installation, Scope.EVENTS_WRITE)
        chief = await make_secret_key(redis, installation, Scope.EVENTS_WRITE, Scope.OPERATIONS_READ)
        page = await make_page_key(redis, installation)
        look_again(app)
        async with (
            watch(watched.url, **bearer(one)) as of_one,
            watch(watched.url, **bearer(chief)) as of_all,
            watch(watched.url, f"?key_id={other.key_id}", **bearer(chief)) as of_other,
        ):
            for key in (one, other):
                assert (await client.post(PATH, json=CART, headers=bearer(key))).status_code == 202
            assert {r["key_id"] for r in await next_requests(of_all, 2)} == {one.key_id, other.key_id}
            assert (await next_requests(of_one, 1))[0]["key_id"] == one.key_id
            assert (await next_requests(of_other, 1))[0]["key_id"] == other.key_id
        refused = await client.get(f"{TAIL}?key_id={other.key_id}", headers=bearer(one))
        check_problem(refused, 403, "key.scope")
        shop = {**bearer(page), "Origin": "https://shop.example"}
        check_problem(await client.get(TAIL, headers=shop), 403, "key.publishable")
        check_problem(await client.get(TAIL), 401, "key.missing")
        check_problem(await client.get(f"{TAIL}?for_s=0", headers=bearer(one)), 422, "for_s.too_small")


def task_names() -> set[str]:
    """What runs in this event loop."""
    return {str(getattr(task.get_coro(), "__qualname__", "")) for task in asyncio.all_tasks()}


async def test_a_tail_ends_by_itself_and_leaves_nothing(app: FastAPI, settings: Settings) -> None:
    async with client_of(app) as client:
        before = task_names()
        answer = await client.get(f"{TAIL}?for_s=2")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.endswith("event: ready\ndata: {}\n\n")
        assert services_of(app).get(Ingestion).tail_limiter.n_open == services_of(app).streams.n_open == 0
        left = task_names() - before
        assert left <= {"_shutdown_watcher"}  # sse-starlette's one of the process
        keys = Keys(settings.namespace, settings.partitions)
        assert 0 < await services_of(app).reader.redis.pttl(keys.tail_watchers()) <= 10_000


async def test_a_tail_ends_when_its_key_is_revoked(installation: Settings, watched: ServedApi) -> None:
    keys = Keys(installation.namespace, installation.partitions)
    async with open_redis_pool(installation) as redis:
        key = await make_secret_key(redis, installation, Scope.EVENTS_WRITE)
        async with watch(watched.url, **bearer(key)) as messages:
            await KeyStore(redis, keys).revoke(key.key_id, wall_clock_ms())
            async with asyncio.timeout(TIMEOUT_S):
                assert [message async for message in messages] == []


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    async with open_redis_pool(settings) as redis:
        yield redis


def notice(key_id: str, n_events: int = 1) -> Notice:
    events = [{**CART, "event_id": f"e{n}"} for n in range(n_events)]
    return Notice(NOW_MS, "r1", key_id, False, validate(events, ValidationContext(NOW_MS, "EUR")), None)


async def test_while_nobody_watches_redis_is_asked_once_a_second_at_most(
    redis: Redis, settings: Settings
) -> None:
    feed = TailPublisher(redis, Keys(settings.namespace, settings.partitions))
    feed.offer(notice("k1"))
    assert feed._task is not None
    await feed._task
    for _ in range(1_000):
        feed.offer(notice("k1"))
    assert feed._task is None
    assert not feed._queue


async def test_under_load_some_requests_are_only_counted(redis: Redis, settings: Settings) -> None:
    keys = Keys(settings.namespace, settings.partitions)
    feed = TailPublisher(redis, keys)
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.tail("k1"))
        await redis.zadd(keys.tail_watchers(), {"k1": 2 * NOW_MS})
        for _ in range(500):
            feed.offer(notice("k1", 100))
            feed.offer(notice("k2", 100))
        contents: list[Any] = []
        async with asyncio.timeout(TIMEOUT_S):
            while not contents:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=CHECK_S)
                if message is not None:
                    contents.append(httpx.Response(200, content=message["data"]).json())
    [content] = contents
    assert len(content["requests"]) + content["skipped"] >= 500
    assert 0 < len(content["requests"]) <= 50
    assert all(len(request["events"]) <= 20 for request in content["requests"])
    await feed.close()


async def test_without_redis_events_are_judged_and_nobody_is_told(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with open_redis_pool(away) as redis:
        feed = TailPublisher(redis, Keys(away.namespace, away.partitions))
        feed.offer(notice("k1"))
        assert feed._task is not None
        await feed._task
        feed.offer(notice("k1"))
        assert feed._task is None
