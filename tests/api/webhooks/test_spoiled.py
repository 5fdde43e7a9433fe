"""What is stored of webhooks and cannot be read: one value of it keeps no other away."""

import httpx
import pytest
from redis import Redis

from delivery.webhooks.deliveries import DeliveryStatus
from receivers import Receiver
from webhook_site import Site, until

NAMES = ("0" * 16, "1" * 16, "2" * 16)


@pytest.fixture
def redis(site: Site) -> Redis:
    return Redis.from_url(site.settings.redis_url)


async def test_an_endpoint_that_cannot_be_read_keeps_no_other_away_and_can_be_deleted(
    client: httpx.AsyncClient, site: Site, receiver: Receiver, redis: Redis
) -> None:
    endpoint = await site.add(receiver.url)
    spoiled = [f"ep_{name}" for name in NAMES]
    for endpoint_id, raw in zip(spoiled, (b"garbage", b"[]", b"{}"), strict=True):
        redis.hset(site.reader.keys.webhook_endpoints(), endpoint_id, raw)
    listed = (await client.get("/v1/webhooks")).json()["webhooks"]
    assert [one["id"] for one in listed] == [endpoint.endpoint_id]
    async with site.delivering():
        site.publish(3)
        await receiver.wait_for(3)
    for endpoint_id in spoiled:
        answer = await client.get(f"/v1/webhooks/{endpoint_id}")
        assert (answer.status_code, answer.json()["code"]) == (503, "state.spoiled")
        assert (await client.delete(f"/v1/webhooks/{endpoint_id}")).status_code == 204


async def test_deliveries_that_cannot_be_read_leave_the_queue_to_the_others(
    client: httpx.AsyncClient, site: Site, receiver: Receiver, redis: Redis
) -> None:
    endpoint = await site.add(receiver.url)
    keys, one = site.reader.keys, endpoint.endpoint_id
    for n in range(2 * site.policy.concurrency):  # as many as would fill every place
        redis.hset(keys.webhook_deliveries(one), f"d{n}", b"spoiled")
        redis.hset(keys.webhook_bodies(one), f"d{n}", b"spoiled")
        redis.zadd(keys.webhook_pending(one), {f"d{n}": 1})
        redis.zadd(keys.webhook_waiting(one), {f"d{n}": 1})
        redis.zadd(keys.webhook_log(one), {f"d{n}": n})
    redis.hset(keys.webhook_progress(one), mapping={"health": b"spoiled", "missed": b"x"})
    answer = await client.get(f"/v1/webhooks/{one}/deliveries")
    assert (answer.status_code, answer.json()["deliveries"]) == (200, [])
    assert (await client.get(f"/v1/webhooks/{one}")).status_code == 200
    async with site.delivering():
        (message_id,) = site.publish()
        await site.wait_until_status(endpoint, message_id, DeliveryStatus.DELIVERED)
        await until(lambda: redis.zcard(keys.webhook_pending(one)) == 0, "the queue to be empty")


async def test_a_place_in_the_log_that_is_none_stops_one_endpoint_until_it_is_mended(
    site: Site, receiver: Receiver, redis: Redis
) -> None:
    spoiled, sound = await site.add(f"{receiver.url}/spoiled"), await site.add(f"{receiver.url}/sound")
    redis.hset(site.reader.keys.webhook_progress(spoiled.endpoint_id), "cursor", "spoiled")
    async with site.delivering() as deliverer:
        ids = site.publish(3)
        for message_id in ids:
            await site.wait_until_status(sound, message_id, DeliveryStatus.DELIVERED)
        assert (await site.deliveries(spoiled)) == {}
        assert deliverer.is_alive()
