"""What keys may spend: counted once for all processes, refused with when to come again."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.http.errors import Problem
from api.identity.principal import ANYONE, Limits, Principal, Scope
from api.identity.quotas import Balance, Quotas, applicable
from api.services import services_of
from api_keys import bearer, make_secret_key
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.redis_server import RedisServer
from services import unique_settings

MINUTE_MS = 60_000
DAY_MS = 86_400_000
EVENTS = "/v1/events"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 20_000 * DAY_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def quotas(settings: Settings, clock: Clock) -> AsyncIterator[Quotas]:
    redis = Redis.from_url(settings.redis_url)
    yield Quotas(redis, Keys(settings.namespace, settings.partitions), clock)
    async for name in redis.scan_iter(match=f"{settings.namespace}:*"):
        await redis.unlink(name)
    await redis.aclose()


def someone(key_id: str = "k1", **limits: int) -> Principal:
    return Principal(key_id, "someone", frozenset(Scope), is_publishable=False, limits=Limits(**limits))


async def refusal(spent: Any) -> tuple[str, int]:
    """Code and seconds of the 429."""
    with pytest.raises(Problem) as caught:
        await spent
    assert caught.value.status == 429
    assert caught.value.headers is not None
    return caught.value.code, int(caught.value.headers["Retry-After"])


async def test_who_has_no_limits_is_not_counted(quotas: Quotas, redis_url: str, settings: Settings) -> None:
    assert (await quotas.spend_events(ANYONE, 500)).headers() == {}
    async with Redis.from_url(redis_url) as redis:
        assert [name async for name in redis.scan_iter(match=f"{settings.namespace}:*")] == []


async def test_events_are_spent_until_the_minute_is_over(quotas: Quotas, clock: Clock) -> None:
    who = someone(events_per_minute=100)
    clock.now_ms += 15_000
    balance = await quotas.spend_events(who, 60)
    assert (list(balance.left), list(balance.resets_s)) == ([40], [45])
    assert await refusal(quotas.spend_events(who, 41)) == ("quota.spent", 45)
    assert list((await quotas.spend_events(who, 40)).left) == [0]  # what was refused was not counted
    assert await refusal(quotas.spend_events(who, 1)) == ("quota.spent", 45)
    clock.now_ms += 45_000
    quotas._paused.clear()
    assert list((await quotas.spend_events(who, 1)).left) == [99]


async def test_days_are_days_of_utc(quotas: Quotas, clock: Clock) -> None:
    who = someone(events_per_day=10)
    clock.now_ms += DAY_MS - 1
    assert (await quotas.spend_events(who, 10)).resets_s == [1]
    clock.now_ms += 1
    assert list((await quotas.spend_events(who, 10)).left) == [0]


async def test_a_spent_day_leaves_the_minute_untouched(quotas: Quotas, clock: Clock) -> None:
    who = someone(events_per_minute=50, events_per_day=60)
    await quotas.spend_events(who, 50)
    clock.now_ms += MINUTE_MS
    code, wait_s = await refusal(quotas.spend_events(who, 11))
    assert (code, wait_s) == ("quota.spent", 86_340)
    assert list((await quotas.spend_events(who, 10)).left) == [40, 0]


async def test_a_second_counts_by_the_share_of_the_one_before(quotas: Quotas, clock: Clock) -> None:
    who = someone(requests_per_s=4)
    for _ in range(4):
        await quotas.spend_request(who)
    assert await refusal(quotas.spend_request(who)) == ("rate.exceeded", 1)
    clock.now_ms += 1_000  # all four are a second ago at most
    quotas._paused.clear()
    assert await refusal(quotas.spend_request(who)) == ("rate.exceeded", 1)
    clock.now_ms += 500  # half of them
    quotas._paused.clear()
    for _ in range(2):
        await quotas.spend_request(who)
    assert await refusal(quotas.spend_request(who)) == ("rate.exceeded", 1)


async def test_whoever_has_nothing_left_is_refused_without_asking_redis_again(
    quotas: Quotas, clock: Clock
) -> None:
    who = someone(events_per_minute=1)
    await quotas.spend_events(who, 1)
    await refusal(quotas.spend_events(who, 1))
    clock.now_ms += MINUTE_MS  # Redis would say yes
    assert await refusal(quotas.spend_events(who, 1)) == ("quota.spent", 60)


async def test_keys_do_not_spend_what_is_anothers(quotas: Quotas) -> None:
    await quotas.spend_events(someone("k1", events_per_minute=1), 1)
    await quotas.spend_events(someone("k2", events_per_minute=1), 1)


async def test_two_processes_count_together(quotas: Quotas, settings: Settings, clock: Clock) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        other = Quotas(redis, Keys(settings.namespace, settings.partitions), clock)
        await quotas.spend_events(someone(events_per_minute=2), 1)
        await other.spend_events(someone(events_per_minute=2), 1)
        assert await refusal(other.spend_events(someone(events_per_minute=2), 1)) == ("quota.spent", 60)


async def test_counters_do_not_stay(quotas: Quotas, settings: Settings) -> None:
    await quotas.spend_events(someone(requests_per_s=9, events_per_minute=9, events_per_day=9), 1)
    async with Redis.from_url(settings.redis_url) as redis:
        ttls = [await redis.ttl(name) async for name in redis.scan_iter(match=f"{settings.namespace}:*")]
    assert len(ttls) == 3
    assert all(0 < ttl_s <= 2 * 86_400 for ttl_s in ttls)


def test_the_header_fields_are_those_of_the_draft() -> None:
    spendings = applicable(Limits(10, 500, 0), n_events=20)
    assert Balance(spendings, [9, 480], [1, 12]).headers() == {
        "RateLimit-Policy": '"requests";q=10;w=1;qu="requests", "events-per-minute";q=500;w=60;qu="events"',
        "RateLimit": '"requests";r=9;t=1, "events-per-minute";r=480;t=12',
    }


async def test_an_answer_says_what_is_left_and_a_refusal_when_to_come_again(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, clock: Clock
) -> None:
    services_of(app).access.quotas._clock_ms = clock
    redis = services_of(app).reader.redis
    key = await make_secret_key(redis, settings, Scope.INSIGHTS_READ, requests_per_s=2)
    good, _, refused = [await client.get("/v1/live", headers=bearer(key)) for _ in range(3)]
    assert good.status_code == 200
    assert good.headers["ratelimit-policy"] == '"requests";q=2;w=1;qu="requests"'
    assert good.headers["ratelimit"] == '"requests";r=1;t=1'
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.exceeded")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == '"requests";r=0;t=1'


@pytest.mark.parametrize("limits", [{"events_per_minute": 10}, {"events_per_day": 10, "requests_per_s": 0}])
async def test_what_no_waiting_makes_possible_is_said_with_what_is(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, limits: dict[str, int]
) -> None:
    redis = services_of(app).reader.redis
    key = await make_secret_key(redis, settings, Scope.EVENTS_WRITE, **limits)
    event = {"event_type": "view", "user_id": "u", "product_id": "p"}
    items = {"event_type": "view", "user_id": "u", "items": [{"product_id": f"p{n}"} for n in range(11)]}
    calls = [
        {"type": "track", "event": "Product Viewed", "userId": "u", "properties": {"sku": n}}
        for n in range(11)
    ]
    ga4 = [{"name": "view_item", "params": {"items": [{"item_id": str(n)}]}} for n in range(11)]
    for path, body in (
        (EVENTS, [{**event, "user_id": n} for n in range(11)]),
        (EVENTS, items),
        ("/v1/batch", {"batch": calls}),
        ("/mp/collect", {"client_id": "c", "events": ga4}),
    ):
        answer = await client.post(path, json=body, headers=bearer(key))
        assert (answer.status_code, answer.json()["code"]) == (413, "quota.request_too_large")
        assert "at most 10 events" in answer.json()["detail"]
        assert "retry-after" not in answer.headers
    fits = await client.post(EVENTS, json=[{**event, "user_id": n} for n in range(10)], headers=bearer(key))
    assert fits.json()["code"] == "kafka.unavailable"
    later = await client.post(EVENTS, json=event, headers=bearer(key))
    assert (later.status_code, later.json()["code"]) == (429, "quota.spent")
    assert int(later.headers["retry-after"]) > 0


async def test_a_request_that_is_too_large_is_paid_for(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, clock: Clock
) -> None:
    services_of(app).access.quotas._clock_ms = clock
    redis = services_of(app).reader.redis
    key = await make_secret_key(redis, settings, Scope.EVENTS_WRITE, requests_per_s=2, events_per_minute=1)
    views = [{"event_type": "view", "user_id": n, "product_id": "p"} for n in range(2)]
    answers = [await client.post(EVENTS, json=views, headers=bearer(key)) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {413, 429}


async def test_requests_whose_events_never_counted_are_paid_for_too(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, clock: Clock
) -> None:
    services_of(app).access.quotas._clock_ms = clock
    redis = services_of(app).reader.redis
    key = await make_secret_key(redis, settings, Scope.EVENTS_WRITE, requests_per_s=1)
    bad = {**bearer(key), "content-type": "application/json"}
    assert (await client.post(EVENTS, content=b"{", headers=bad)).status_code == 400
    answers = [await client.post(EVENTS, content=b"{", headers=bad) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {400, 429}


async def test_the_settings_limit_keys_that_have_no_limits_of_their_own(redis_url: str) -> None:
    defaults = unique_settings("127.0.0.1:1", redis_url)
    assert (defaults.key_requests_per_s, defaults.key_events_per_minute, defaults.key_events_per_day) == (
        200,
        120_000,
        0,
    )


async def test_what_cannot_be_counted_is_refused(private_redis: RedisServer, clock: Clock) -> None:
    async with Redis.from_url(private_redis.url, socket_connect_timeout=0.2) as redis:
        quotas = Quotas(redis, Keys("n", 1), clock)
        await quotas.spend_events(someone(events_per_minute=9), 1)
        private_redis.kill()
        with pytest.raises(RedisError):
            await quotas.spend_events(someone(events_per_minute=9), 1)
        await quotas.spend_events(ANYONE, 1)
