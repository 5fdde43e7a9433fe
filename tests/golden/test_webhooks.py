"""What an earlier version had queued for webhooks is sent, with the same ids, bodies and secrets."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from contracts.settings import Settings
from delivery.webhooks.deliveries import DeliveryStatus
from delivery.webhooks.signing import sign
from golden_installation import about, golden_keys, restore_redis
from receivers import Receiver, open_receiver, say
from services import uninstall, unique_settings
from shop_state import ShopState
from webhook_site import Site

MINUTES_S = 600
"""So long afterwards every delivery that waits may be tried again."""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver(say(200)) as receiver:
        yield receiver


@pytest.fixture
def restored(redis_url: str, receiver: Receiver) -> Iterator[Settings]:
    """The settings of the installation; no deliverer holds a lease of its endpoints."""
    settings = unique_settings("127.0.0.1:1", redis_url, **about()["settings"])
    client = Redis.from_url(redis_url)
    restore_redis(client, settings, host=receiver.url, without=":lease")
    client.close()
    yield settings
    uninstall(settings, topics=False)


@pytest.fixture
async def site(restored: Settings, set_clock: Callable[..., None]) -> AsyncIterator[Site]:
    set_clock(after_s=MINUTES_S)
    site = Site(restored, ShopState(restored))
    yield site
    await site.close()


async def test_what_waits_is_sent_as_it_was_made(site: Site, receiver: Receiver) -> None:
    waiting = {key.split(":")[1]: row for key, row in rows("pending").items()}
    bodies = {delivery_id: body for row in rows("bodies").values() for delivery_id, body in row.items()}
    expected = {delivery_id for row in waiting.values() for delivery_id in row}
    endpoints = await site.registry.read_all()
    async with site.delivering():
        received = await receiver.wait_for(len(expected))
    assert set(receiver.ids) == expected
    (endpoint_id,) = waiting
    (secret,) = endpoints[endpoint_id].secrets
    for request in received:
        assert request.body == bodies[request.message_id].encode()
        at_s = int(request.headers["webhook-timestamp"])
        assert sign(request.message_id, at_s, request.body, [secret.text]).items() <= request.headers.items()
    logged = await site.deliveries(endpoints[endpoint_id])
    assert {logged[delivery_id].delivery.status for delivery_id in expected} == {DeliveryStatus.DELIVERED}


def rows(name: str) -> dict[str, Any]:
    """The hash or set of this name of every endpoint that has one."""
    return {row["key"]: row["value"] for row in golden_keys() if row["key"].endswith(f":{name}")}
