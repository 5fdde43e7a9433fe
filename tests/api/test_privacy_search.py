"""Looking for a visitor in Redis: found wherever they stand, whatever kind the key is of."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import orjson
import pytest
from redis.asyncio import Redis

from alert_makers import make_alert
from connections.asyncio_redis import open_redis_pool
from contracts.alerts import decode_alert
from contracts.dead_letters import DeadLetter, encode_dead_letter
from contracts.keys import Keys
from contracts.settings import Settings
from readers.alerts.removal import scrub_alerts
from readers.id_search import PAGE, Needle, Place, search
from readers.reader import Reader
from readers.removal import Trace
from shop_state import ShopState

USER = "visitor/17 é"


@pytest.fixture
async def redis(settings: Settings, state: ShopState) -> AsyncIterator[Redis]:
    """Redis; what is written under the namespace is removed after the test."""
    del state
    redis = open_redis_pool(settings)
    yield redis
    await redis.aclose()


@pytest.fixture
def keys(settings: Settings) -> Keys:
    """The keys of the installation."""
    return Keys(settings.namespace, settings.partitions)


async def places(redis: Redis, keys: Keys, user_id: str) -> set[Place]:
    (found,) = await search(redis, keys, [Needle(user_id)])
    return found


async def test_a_visitor_is_found_in_names_and_in_values_of_every_kind(redis: Redis, keys: Keys) -> None:
    ns = keys.namespace
    letter = DeadLetter("c", "d", "view", 1, 2, USER.encode(), None, 0)
    await redis.set(keys.visitor(USER), b"state")
    await redis.set(f"{ns}:blob", msgpack.packb({"deep": [1, USER]}))
    await redis.set(f"{ns}:json", orjson.dumps({"user_id": USER}))
    await redis.set(f"{ns}:cjson", '{"user_id":"visitor\\/17 é"}')
    await redis.hset(f"{ns}:field", USER, "1")
    await redis.hset(f"{ns}:value", "a", f"about {USER}!")
    await redis.zadd(f"{ns}:zset", {f"churn_risk:{USER}": 1})
    await redis.sadd(f"{ns}:set", "x", USER)
    await redis.rpush(f"{ns}:list", *["x"] * PAGE, USER)
    await redis.xadd(f"{ns}:stream", {"key": USER})
    await redis.xadd(f"{ns}:letters", {"value": encode_dead_letter(letter)})
    assert base64.b64encode(USER.encode()) in encode_dead_letter(letter)
    names = ("blob", "json", "cjson", "field", "value", "zset", "set", "list", "stream", "letters")
    expected = {Place(f"{ns}:{name}", inside=True) for name in names}
    assert await places(redis, keys, USER) == expected | {Place(keys.visitor(USER), inside=False)}
    assert await places(redis, keys, "visitor-18") == set()


async def test_large_keys_are_read_to_their_end(redis: Redis, keys: Keys) -> None:
    many = [f"m{i}" for i in range(5 * PAGE)]
    await redis.hset(f"{keys.namespace}:hash", mapping={**dict.fromkeys(many, "v"), "last": USER})
    await redis.zadd(f"{keys.namespace}:zset", dict.fromkeys(many, 0) | {USER: 1})
    await redis.sadd(f"{keys.namespace}:set", *many, USER)
    async with redis.pipeline() as pipe:
        for value in [*many, USER]:
            pipe.xadd(f"{keys.namespace}:stream", {"value": value})
        await pipe.execute()
    assert len(await places(redis, keys, USER)) == 4


async def test_other_installations_are_not_looked_at(redis: Redis, keys: Keys) -> None:
    await redis.set(f"{keys.namespace}2:blob", USER, ex=60)
    assert await places(redis, keys, USER) == set()


@pytest.mark.parametrize("user_id", ["7", "4711", "123456789012", "eve"])
async def test_a_short_id_is_found_where_ids_stand_and_not_as_part_of_other_things(
    redis: Redis, keys: Keys, user_id: str
) -> None:
    await redis.hset(keys.meta(0), mapping={"applied": user_id, user_id: "1"})
    await redis.hset(keys.product_bucket(0, "minute", 0), f"v:{user_id}", user_id)
    await redis.set(f"{keys.namespace}:text", f"a{user_id}b")
    assert await places(redis, keys, user_id) == set()
    await redis.set(keys.visitor(user_id), b"state")
    await redis.zadd(keys.active(1), {user_id: 1})
    await redis.zadd(keys.alert_mutes(), {f"churn_risk:{user_id}": 1})
    await redis.xadd(keys.alerts(), {"value": orjson.dumps({"user_id": user_id})})
    assert len(await places(redis, keys, user_id)) == 4


async def test_new_alerts_of_who_has_returned_stay(
    redis: Redis, keys: Keys, settings: Settings, state: ShopState
) -> None:
    told = ((USER, 1_000), (USER, 9_000), ("visitor-18", 1_000))
    alerts = [
        make_alert(i, user_id=user, at_ms=at_ms, fired_ms=at_ms) for i, (user, at_ms) in enumerate(told)
    ]
    state.publish_alerts(alerts)
    state.flush()
    await redis.xadd(keys.alerts(), {"id": "x", "value": f"of another version, about {USER}"})
    reader = Reader(redis, settings)
    trace = Trace(USER, "digest", 0, cut_ms=5_000, returned=True)
    assert await scrub_alerts(reader, trace) == {"alert_steps": 2, "alert_notes": 0}
    entries: Any = await redis.xrange(keys.alerts())
    kept = [decode_alert(fields[b"value"]) for _, fields in entries]
    assert [(alert.user_id, alert.at_ms) for alert in kept] == [(USER, 9_000), ("visitor-18", 1_000)]
    assert await redis.hlen(keys.alert_places()) == 2
    assert (await scrub_alerts(reader, trace._replace(returned=False)))["alert_steps"] == 1
