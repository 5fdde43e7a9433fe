"""The relay between Kafka's answer and the end of its page: done again, it doubles nothing."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import redis.asyncio as aio
from redis.exceptions import ConnectionError

from contracts.keys import Keys
from ops.redis_server import RedisServer
from services import unique_settings
from shoppers import NEW, RULES, make_entries, make_event
from stream.batch import Outcome, apply_batch, fire_deadlines
from stream.commit import NO_OFFSET, Commit, Retention, Verdict
from stream.relay import READ_LIMIT
from stream.store import RedisStore

LATER_MS = 3_600_000


def make_outcome(number_of_visitors: int = 3) -> Outcome:
    """Alerts of so many abandoned carts."""
    users = [f"u{i}" for i in range(number_of_visitors)]
    carted = apply_batch(NEW, make_entries([make_event("cart", 0, user=user) for user in users]), {}, RULES)
    return fire_deadlines(carted.clock, carted.clock.max_event_ms + LATER_MS, users, carted.visitors, RULES)


async def commit(store: RedisStore, outcome: Outcome) -> None:
    """Claim partition 0 and commit the outcome as its first."""
    epoch = (await store.claim({0: 0}))[0].epoch
    written = Commit(0, epoch, {"view": (NO_OFFSET, 3)}, outcome, 0, 0)
    assert await store.commit([written]) == [Verdict.APPLIED]


async def test_a_page_of_alerts_from_before_redis_went_back_is_not_appended_twice(
    private_redis: RedisServer, tmp_path: Path
) -> None:
    settings = unique_settings("127.0.0.1:1", private_redis.url, partitions=1)
    client = aio.Redis.from_url(private_redis.url)
    store = RedisStore(client, Keys(settings.namespace, 1), Retention.of(settings))
    private_redis.copy_data(tmp_path / "copy")
    await commit(store, make_outcome())
    page = await store.read_outbox(0, READ_LIMIT)
    private_redis.kill()  # while the relay waits for Kafka's answer
    private_redis.restore_data(tmp_path / "copy")
    private_redis.restart()
    with suppress(ConnectionError):  # another user of the connection has noticed already
        await client.ping()
    await store.append_alerts(page)
    await commit(store, make_outcome())  # read again from the log
    again = await store.read_outbox(0, READ_LIMIT)
    assert [item.item_id for item in again] == [item.item_id for item in page]
    await store.append_alerts(again)
    rows = await client.xrange(Keys(settings.namespace, 1).alerts())
    assert Counter(fields[b"id"].decode() for _, fields in rows) == Counter(i.item_id for i in page)
    await client.aclose()
