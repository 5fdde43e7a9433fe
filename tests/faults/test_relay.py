"""The relay between Kafka's answer and the end of its page: done again, it doubles nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aio
from redis.exceptions import ConnectionError

from commits import CommitMaker
from contracts.keys import Keys
from ops.stack.redis_server import RedisServer
from services import unique_settings
from shoppers import NEW, RULES, SETTINGS, make_entries, make_event
from stream.batch.step import BatchResult, apply_batch, fire_deadlines
from stream.partitions.outbox_relay import READ_LIMIT
from stream.state.commit import NO_OFFSET, CommitStatus
from stream.state.outbox import RedisOutboxes
from stream.state.redis_store import RedisStore

OpenStore = Callable[[], "Shop"]

LATER_MS = 3_600_000


def make_outcome(number_of_visitors: int = 3) -> BatchResult:
    """Alerts of so many abandoned carts."""
    users = [f"u{i}" for i in range(number_of_visitors)]
    carted = apply_batch(NEW, make_entries([make_event("cart", 0, user=user) for user in users]), {}, RULES)
    return fire_deadlines(carted.clock, carted.clock.max_event_ms + LATER_MS, users, carted.visitors, RULES)


@dataclass(frozen=True)
class Shop:
    """One worker's store and outboxes."""

    store: RedisStore
    outboxes: RedisOutboxes


async def commit(shop: Shop, result: BatchResult) -> None:
    """Claim partition 0 and commit the result as its first."""
    epoch = (await shop.store.claim({0: 0}))[0].epoch
    written = CommitMaker(SETTINGS).make(0, epoch, {"view": (NO_OFFSET, 3)}, result)
    assert await shop.store.commit([written]) == [CommitStatus.APPLIED]


@pytest.fixture
async def open_store(private_redis: RedisServer) -> AsyncIterator[OpenStore]:
    """`open_store()`: another worker's store of the same installation; partition 0 is its only one."""
    settings = unique_settings("127.0.0.1:1", private_redis.url, partitions=1)
    clients = []

    def make() -> Shop:
        clients.append(aio.Redis.from_url(private_redis.url))
        keys = Keys(settings.namespace, 1)
        return Shop(
            RedisStore(clients[-1], keys),
            RedisOutboxes(clients[-1], keys, alerts_kept=settings.alerts_kept),
        )

    yield make
    for client in clients:
        await client.aclose()


async def ids_in_log(shop: Shop) -> list[str]:
    rows: Any = await shop.store._client.xrange(shop.store._keys.alerts())
    return [fields[b"id"].decode() for _, fields in rows]


async def test_a_page_of_alerts_from_before_redis_went_back_is_not_appended(
    private_redis: RedisServer, open_store: OpenStore, tmp_path: Path
) -> None:
    shop = open_store()
    private_redis.copy_data(tmp_path / "copy")
    await commit(shop, make_outcome())
    page = (await shop.outboxes.read([0], READ_LIMIT))[0]
    private_redis.kill()  # while the relay waits for Kafka's answer
    private_redis.restore_data(tmp_path / "copy")
    private_redis.restart()
    with suppress(ConnectionError):  # another user of the connection has noticed already
        await shop.store._client.ping()
    assert await shop.outboxes.append_alerts({0: page}) == {0}, "it may be decided otherwise now"
    await commit(shop, make_outcome())  # read again from the log
    again = (await shop.outboxes.read([0], READ_LIMIT))[0]
    assert [item.item_id for item in again] == [item.item_id for item in page]
    assert await shop.outboxes.append_alerts({0: again}) == set()
    assert await shop.outboxes.append_alerts({0: again}) == set()
    assert await ids_in_log(shop) == [item.item_id for item in page]


async def test_a_page_of_alerts_from_before_redis_lost_everything_is_not_appended(
    open_store: OpenStore,
) -> None:
    shop = open_store()
    await commit(shop, make_outcome())
    page = (await shop.outboxes.read([0], READ_LIMIT))[0]
    await shop.store._client.flushdb()
    assert await shop.outboxes.append_alerts({0: page}) == {0}
    assert await ids_in_log(shop) == []


async def test_a_page_is_appended_after_a_restart_of_redis_that_lost_nothing(
    private_redis: RedisServer, open_store: OpenStore
) -> None:
    shop = open_store()
    await commit(shop, make_outcome())
    page = (await shop.outboxes.read([0], READ_LIMIT))[0]
    private_redis.kill()
    private_redis.restart()
    with suppress(ConnectionError):
        await shop.store._client.ping()
    assert await shop.outboxes.append_alerts({0: page}) == set()
    assert await ids_in_log(shop) == [item.item_id for item in page]


async def test_a_page_that_another_worker_has_read_since_is_left_to_it(open_store: OpenStore) -> None:
    earlier, later = open_store(), open_store()
    await commit(earlier, make_outcome())
    page = (await earlier.outboxes.read([0], READ_LIMIT))[0]
    same = (await later.outboxes.read([0], READ_LIMIT))[0]
    assert await earlier.outboxes.append_alerts({0: page}) == {0}
    assert await later.outboxes.append_alerts({0: same}) == set()
    assert await ids_in_log(later) == [item.item_id for item in page]
