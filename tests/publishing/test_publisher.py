"""The publisher on a real Redis: whom it publishes what of, and what keeps it from doing so twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.deletions import digest_user
from contracts.logins import Login, put_login
from contracts.partitioning import partition_of
from contracts.products import Amount, Product
from contracts.recommendations import RECOMMENDATIONS
from contracts.sessions import VIEWED, StoredSession
from contracts.settings import Settings
from contracts.snapshots import decode_record
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from publishing.metrics import PublishingMetrics
from publishing.publisher import LEASE_MARGIN_MS, Publisher
from readers.reader import Reader
from readers.recommendations.feed import RecommendationFeed
from readers.recommendations.live import LiveRecommendations
from readers.recommendations.ranking import Ranking
from readers.recommendations.stored import StoredList, read_stored
from services import unique_settings
from shop_state import ShopState
from stream.jobs.store import Pick, Queue, RedisJobStore
from visitor_makers import VIEW, make_visitor

PARTITIONS = 3
INTERVAL_S = 60.0


@dataclass
class Shop:
    """A shop in Redis, with what a publisher of it needs in memory."""

    state: ShopState
    reader: Reader
    live: LiveRecommendations
    metrics: PublishingMetrics = field(default_factory=PublishingMetrics)

    def __post_init__(self) -> None:
        self.store = RedisJobStore(self.reader.redis, self.reader.keys)

    def publisher(self) -> Publisher:
        return Publisher(self.reader, self.live, self.store, self.metrics)

    async def touch(self, *visitor_ids: str, due_ms: int | None = None) -> None:
        """As a worker does, an interval ago."""
        due_ms = wall_clock_ms() - 1 if due_ms is None else due_ms
        for visitor_id in visitor_ids:
            await self.store.offer({self.queue(visitor_id): [visitor_id]}, due_ms=due_ms, max_queued=10_000)

    async def publish_all(self) -> None:
        publisher = self.publisher()
        while await publisher.do_round():
            pass

    async def records(self) -> list[tuple[str, dict[str, Any] | None]]:
        """Key and value of each record that waits for the relay; None is one that takes the others back."""
        found = []
        for p in self.reader.partitions:
            entries: Any = await self.reader.redis.xrange(self.reader.keys.outbox(p))
            for _, fields in entries:
                assert fields[b"topic"].decode() == self.reader.settings.topic_prefix + RECOMMENDATIONS
                value = fields[b"value"]
                found.append((fields[b"key"].decode(), decode_record(value)[2].value if value else None))
        return found

    async def stored(self, visitor_id: str) -> StoredList | None:
        return await read_stored(self.reader, visitor_id)

    async def waiting(self, visitor_id: str) -> float | None:
        key = self.reader.keys.job_queue(*self.queue(visitor_id))
        score: float | None = await self.reader.redis.zscore(key, visitor_id)
        return score

    def queue(self, visitor_id: str) -> Queue:
        return Queue(partition_of(visitor_id, PARTITIONS), RECOMMENDATIONS)

    def count(self, result: str) -> float:
        labels = {"result": result}
        return self.metrics.registry.get_sample_value("storepulse_publish_visitors_total", labels) or 0.0


@pytest.fixture
async def shop(redis_url: str) -> AsyncIterator[Shop]:
    """A shop whose visitors look at `tea` and `cup` together, and at `pen` and `ink`; epochs are 1."""
    settings: Settings = unique_settings(
        "127.0.0.1:1", redis_url, partitions=PARTITIONS, recommendation_interval_s=INTERVAL_S
    )
    state = ShopState(settings)
    redis = open_redis_pool(settings)
    feed = RecommendationFeed(make_index(), CatalogueView())
    now = wall_clock_ms()
    for n in range(5):
        for pair in (("tea", "cup"), ("pen", "ink")):
            feed.index.put(f"{pair[0]}{n}", 0, StoredSession(now - 60_000, now - 50_000, pair, (VIEWED,) * 2))
    feed.catalogue.tell("cup", Product(title="Cup", price=Amount(900, "EUR")))
    for p in range(PARTITIONS):
        state.set_meta(p, epoch=1)
    state.flush()
    reader = Reader(redis, settings)
    yield Shop(state, reader, LiveRecommendations(reader, feed, Ranking()))
    await redis.aclose()
    state.close()


async def test_a_visitor_who_acted_gets_a_list_that_says_all_by_itself(shop: Shop) -> None:
    visitor = make_visitor((VIEW, "tea"))
    shop.state.put_visitor("u1", put_login(visitor, Login("anna")))
    shop.state.flush()
    await shop.touch("u1")
    await shop.publish_all()
    ((key, value),) = await shop.records()
    assert key == "u1"
    assert value is not None
    items = value.pop("items")
    assert value.pop("as_of").endswith("Z")
    assert value == {
        "visitor_id": "u1", "customer_id": "anna", "mode": "live", "scenario": "for_you",
        "answered_by": "for_you", "arm": "main", "model": "recent-sessions-1",
    }  # fmt: skip
    cup = next(item for item in items if item["product_id"] == "cup")
    assert cup["reason"]["code"] == "viewed_together"
    assert "tea" in cup["reason"]["words"]
    assert (cup["title"], cup["price"]["amount"], cup["source"]) == ("Cup", "9.00", "for_you")
    assert 0 < cup["score"] <= items[0]["score"]
    stored = await shop.stored("u1")
    assert stored is not None
    assert list(stored.product_ids) == [item["product_id"] for item in items]
    assert await shop.waiting("u1") is None


async def test_a_list_that_stays_the_same_is_published_once(shop: Shop) -> None:
    shop.state.put_visitor("u1", make_visitor((VIEW, "tea")))
    shop.state.flush()
    for _ in range(3):
        await shop.touch("u1")
        await shop.publish_all()
    assert len(await shop.records()) == 1
    assert (shop.count("published"), shop.count("unchanged")) == (1, 2)
    shop.state.put_visitor("u1", make_visitor((VIEW, "tea"), (VIEW, "pen")))
    shop.state.flush()
    await shop.touch("u1")
    await shop.publish_all()
    (_, first), (_, second) = await shop.records()
    assert first is not None
    assert second is not None
    assert first["items"] != second["items"]


async def test_a_login_and_another_epoch_publish_the_same_list_again(shop: Shop) -> None:
    visitor = make_visitor((VIEW, "tea"))
    for epoch, login in ((1, Login()), (1, Login("anna")), (2, Login("anna")), (2, Login("anna"))):
        shop.state.put_visitor("u1", put_login(visitor, login))
        shop.state.set_meta(shop.queue("u1").partition, epoch=epoch)
        shop.state.flush()
        await shop.touch("u1")
        await shop.publish_all()
    customers = [value and value["customer_id"] for _, value in await shop.records()]
    assert customers == [None, "anna", "anna"]


async def test_of_several_publishers_each_visitor_has_one(shop: Shop) -> None:
    ids = [f"u{n}" for n in range(200)]
    for id_ in ids:
        shop.state.put_visitor(id_, make_visitor((VIEW, "tea")))
    shop.state.flush()
    await shop.touch(*ids)
    await asyncio.gather(*[shop.publish_all() for _ in range(4)])
    assert sorted(key for key, _ in await shop.records()) == sorted(ids)


async def test_what_a_killed_publisher_had_taken_is_published_after_the_lease(shop: Shop) -> None:
    shop.state.put_visitor("u1", make_visitor((VIEW, "tea")))
    shop.state.flush()
    await shop.touch("u1")
    publisher = shop.publisher()
    round_ = asyncio.create_task(publisher.do_round())
    while (await shop.waiting("u1") or 0) < wall_clock_ms():
        await asyncio.sleep(0)
    round_.cancel()
    with suppress(asyncio.CancelledError):
        await round_
    if not await shop.records():  # else it was done before it was ended
        lease_ms = await shop.waiting("u1")
        assert lease_ms is not None
        assert lease_ms <= wall_clock_ms() + INTERVAL_S * 1_000 + LEASE_MARGIN_MS
        await shop.publish_all()
        assert not await shop.records(), "it is another's until the lease ends"
        await shop.touch("u1")  # who acts again need not wait for that
        await shop.publish_all()
    assert [key for key, _ in await shop.records()] == ["u1"]


async def test_nothing_is_published_of_who_is_deleted_meanwhile_or_without_the_partition(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ("gone", "moved")
    take = shop.store.take

    async def take_then_change(picks: list[Pick]) -> list[bool]:
        taken = await take(picks)
        digest = digest_user("gone", shop.reader.settings.deletion_secret.get_secret_value())
        redis, keys = shop.reader.redis, shop.reader.keys
        await redis.hset(keys.forgotten(shop.queue("gone").partition), digest, str(wall_clock_ms() + 60_000))
        await redis.hset(keys.meta(shop.queue("moved").partition), "epoch", "7")
        return taken

    monkeypatch.setattr(shop.store, "take", take_then_change)
    assert len({shop.queue(id_).partition for id_ in ids}) == 2
    for id_ in ids:
        shop.state.put_visitor(id_, make_visitor((VIEW, "tea")))
    shop.state.flush()
    await shop.touch(*ids)
    await shop.publisher().do_round()
    assert await shop.records() == []
    assert (shop.count("forgotten"), shop.count("fenced")) == (1, 1)
    assert [await shop.stored(id_) for id_ in ids] == [None, None]
    assert await shop.waiting("gone") is None
    assert await shop.waiting("moved") is not None, "it is taken again by the new epoch"


async def test_of_a_visitor_whose_state_is_gone_the_list_is_taken_back(shop: Shop) -> None:
    shop.state.put_visitor("u1", make_visitor((VIEW, "tea")))
    shop.state.flush()
    await shop.touch("u1", "never-known")
    await shop.publish_all()
    await shop.reader.redis.delete(shop.reader.keys.visitor("u1"))
    await shop.touch("u1")
    await shop.publish_all()
    assert [(key, value is None) for key, value in await shop.records()] == [("u1", False), ("u1", True)]
    assert await shop.stored("u1") is None


async def test_a_visitor_who_cannot_be_read_keeps_nobody_from_theirs(shop: Shop) -> None:
    shop.state.put_visitor("sound", make_visitor((VIEW, "tea")))
    shop.state.flush()
    await shop.reader.redis.set(shop.reader.keys.visitor("spoiled"), b"\xc1\x00")
    await shop.reader.redis.set(shop.reader.keys.snapshot(RECOMMENDATIONS, "sound"), b"\xc1\x00")
    await shop.touch("spoiled", "sound")
    await shop.publish_all()
    assert [key for key, _ in await shop.records()] == ["sound"]


async def test_who_is_due_longest_comes_first_and_the_lag_is_told(shop: Shop) -> None:
    now = wall_clock_ms()
    ids = [f"u{n}" for n in range(100)]
    for n, id_ in enumerate(ids):
        shop.state.put_visitor(id_, make_visitor((VIEW, "tea")))
        await shop.touch(id_, due_ms=now - 1_000 * (n + 1))
    shop.state.flush()
    await shop.publisher().do_round()
    assert {key for key, _ in await shop.records()} == set(ids[-32:])
    value = shop.metrics.registry.get_sample_value
    assert value("storepulse_publish_waiting") == 100
    assert 100 <= (value("storepulse_publish_lag_seconds") or 0) < 160
