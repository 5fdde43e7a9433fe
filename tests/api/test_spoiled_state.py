"""Values that nobody of ours wrote, where the API reads them: one never keeps the others away."""

import httpx
import orjson
import pytest
from redis import Redis

from contracts.buckets import Metric, bucket_start
from contracts.clock import wall_clock_ms
from shop_state import ShopState


@pytest.fixture
def redis(state: ShopState) -> Redis:
    return Redis.from_url(state.settings.redis_url)


async def test_a_number_of_a_partition_that_is_none_counts_as_none(
    client: httpx.AsyncClient, state: ShopState, redis: Redis
) -> None:
    now_ms = wall_clock_ms()
    state.set_meta(0, max_event_ms=now_ms, broker_ms=now_ms, applied=3)
    state.set_meta(1, max_event_ms=now_ms, broker_ms=now_ms, applied=4)
    state.beat()
    state.flush()
    redis.hset(state.keys.meta(0), "applied", "spoiled")
    redis.hset(state.keys.meta(2), "price_weight", "spoiled")
    live = (await client.get("/v1/live")).json()
    assert live["totals"]["applied"] == 4 if "totals" in live else live


@pytest.mark.parametrize("kind", ["string", "list", "field"])
async def test_a_spoiled_bucket_is_left_out_of_sums(
    client: httpx.AsyncClient, state: ShopState, redis: Redis, kind: str
) -> None:
    now_ms = wall_clock_ms()
    for p in (0, 1):
        state.set_meta(p, max_event_ms=now_ms, broker_ms=now_ms)
    state.add_shop(1, now_ms, {Metric.VIEWS: 7})
    state.beat()
    state.flush()
    key = state.keys.shop_bucket(0, "minute", bucket_start(now_ms, "minute"))
    match kind:
        case "string":
            redis.set(key, "spoiled")
        case "list":
            redis.rpush(key, "spoiled")
        case _:
            redis.hset(key, Metric.VIEWS, "spoiled")
    answer = await client.get("/v1/live")
    assert answer.status_code == 200, answer.text
    assert "7" in answer.text


async def test_what_several_share_is_a_problem_that_says_so(
    client: httpx.AsyncClient, state: ShopState, redis: Redis
) -> None:
    redis.set(state.keys.currencies(0), "spoiled")
    answer = await client.get("/v1/live")
    assert (answer.status_code, answer.json()["code"]) == (503, "state.spoiled")


async def test_readiness_says_why_partitions_wait_and_passes_over_a_spoiled_heartbeat(
    client: httpx.AsyncClient, state: ShopState, redis: Redis
) -> None:
    state.beat("w1", waits=("partition 3 is blocked: k is a string, not a hash",))
    state.flush()
    for name in ("w2", "w3"):
        redis.zadd(state.keys.workers(), {name: wall_clock_ms()})
    redis.set(state.keys.worker("w2"), "spoiled")
    redis.hset(state.keys.worker("w3"), "spoiled", "spoiled")
    answer = await client.get("/readyz")
    stream = answer.json()["parts"]["stream"]
    assert stream["status"] == "degraded"
    assert "partition 3 is blocked: k is a string" in stream["detail"]


async def test_a_spoiled_key_lets_nobody_in_and_leaves_the_door_shut(
    client: httpx.AsyncClient, state: ShopState, redis: Redis
) -> None:
    for raw in (b"garbage", b"", b"[]", b"{}", orjson.dumps({"key_id": 5})):
        redis.hset(state.keys.api_keys(), "k1", raw)
        redis.incr(state.keys.api_keys_version())
        answer = await client.get("/v1/live", headers={"Authorization": "Bearer sk_live_x"})
        assert answer.status_code == 401, answer.text
