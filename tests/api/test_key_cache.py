"""What a process knows of the keys: how old it may be, what it costs, and what follows when Redis is away."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.identity.key_cache import GRACE_S
from api.identity.key_store import KeyStore
from api.identity.key_text import KeyKind, KeyText, make_key
from api.identity.principal import Scope
from api.services import services_of
from api_keys import bearer, let_age, make_secret_key
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.redis_server import RedisServer
from rule_model import GivenModel
from services import unique_settings
from shop_state import ShopState

CART = {"event_type": "cart", "user_id": "you", "product_id": "p00054"}
EVENTS = "/v1/events?validate=1"
"""A dry run needs no Kafka."""
OwnRedis = tuple[RedisServer, FastAPI, httpx.AsyncClient]


@pytest.fixture(autouse=True)
def clean(state: ShopState) -> ShopState:
    """Removes the keys after the test."""
    return state


@pytest.fixture
async def server_key(app: FastAPI, settings: Settings) -> KeyText:
    return await make_secret_key(services_of(app).reader.redis, settings, Scope.INSIGHTS_READ)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_the_last_use_of_a_key_is_written_once_a_minute(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, server_key: KeyText
) -> None:
    before_ms = wall_clock_ms()
    store = KeyStore(services_of(app).reader.redis, Keys(settings.namespace, settings.partitions))
    assert await store.load_uses() == {}
    for _ in range(3):
        await client.get("/v1/live", headers=bearer(server_key))
    await services_of(app).access.key_cache.close()
    uses = await store.load_uses()
    assert before_ms <= uses[server_key.key_id] <= wall_clock_ms()
    await store.note_use(server_key.key_id, 1)
    await client.get("/v1/live", headers=bearer(server_key))
    await services_of(app).access.key_cache.close()
    assert await store.load_uses() == {server_key.key_id: 1}


@pytest.fixture
async def own_redis(private_redis: RedisServer) -> AsyncIterator[OwnRedis]:
    """An application on a Redis of its own."""
    settings = unique_settings("127.0.0.1:1", private_redis.url, partitions=4, key_requests_per_s=0)
    app = create_app(settings, GivenModel())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield private_redis, app, client


async def test_to_recognise_a_key_costs_no_question_to_redis(
    own_redis: OwnRedis,
) -> None:
    _, app, client = own_redis
    redis = services_of(app).reader.redis
    key = await make_secret_key(redis, services_of(app).reader.settings, Scope.EVENTS_WRITE)
    await client.post(EVENTS, json=CART, headers=bearer(key))

    async def count() -> int:
        stats = await redis.info("commandstats")
        names = [f"cmdstat_{command}" for command in ("get", "hgetall", "evalsha")]
        return sum(stats[name]["calls"] for name in names if name in stats)

    asked = await count()
    for _ in range(50):
        cache = services_of(app).access.key_cache
        cache._loaded_s = cache._tried_s = float("inf")  # never too old
        assert (await client.post(EVENTS, json=CART, headers=bearer(key))).status_code == 200
    assert await count() - asked < 25, "the API asks a little in the background"


async def test_with_redis_away_known_keys_go_on_for_a_while_and_then_nobody(
    own_redis: OwnRedis,
) -> None:
    server, app, client = own_redis
    reader = services_of(app).reader
    key = await make_secret_key(reader.redis, reader.settings, Scope.EVENTS_WRITE)
    assert (await client.post(EVENTS, json=CART, headers=bearer(key))).status_code == 200
    server.kill()
    let_age(app, 2)
    assert (await client.post(EVENTS, json=CART, headers=bearer(key))).status_code == 200
    unknown = await client.post(EVENTS, json=CART, headers=bearer(make_key(KeyKind.SECRET)))
    assert code_of(unknown) == (401, "key.unknown")
    let_age(app, GRACE_S)
    answer = await client.post(EVENTS, json=CART, headers=bearer(key))
    assert code_of(answer) == (503, "keys.unavailable")
    assert answer.headers["retry-after"] == "1"
    server.restart()
    let_age(app, 2)
    assert (await client.post(EVENTS, json=CART, headers=bearer(key))).status_code == 200


async def test_an_installation_that_cannot_ask_redis_is_not_open() -> None:
    app = create_app(unique_settings("127.0.0.1:1", "redis://127.0.0.1:1/0"), GivenModel())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert code_of(await client.get("/v1/live")) == (503, "keys.unavailable")
        assert code_of(await client.post(EVENTS, json=CART)) == (503, "keys.unavailable")
