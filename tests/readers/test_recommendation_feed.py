"""The feed of recommendations against a real Redis: what changes arrives, what is deleted leaves."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from contracts.products import Amount
from contracts.seen_products import SeenProduct
from contracts.sessions import BOUGHT, VIEWED, StoredSession
from contracts.settings import Settings
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from readers.reader import Reader
from readers.recommendations import feed as recommendation_feed
from readers.recommendations.feed import LOOK_AGAIN, RecommendationFeed
from services import unique_settings
from shop_state import ShopState

NOW_MS = 1_760_000_000_000


@pytest.fixture
def state(redis_url: str) -> Iterator[ShopState]:
    state = ShopState(unique_settings("127.0.0.1:1", redis_url, partitions=3))
    yield state
    state.close()


@pytest.fixture
async def reader(state: ShopState) -> AsyncIterator[Reader]:
    settings: Settings = state.settings
    redis = Redis.from_url(settings.redis_url)
    yield Reader(redis, settings)
    await redis.aclose()


@pytest.fixture
def feed() -> RecommendationFeed:
    return RecommendationFeed(make_index(), CatalogueView())


def session_of(*items: str, at_ms: int = NOW_MS, mark: int = VIEWED) -> StoredSession:
    return StoredSession(at_ms, at_ms + 1_000, items, (mark,) * len(items))


def seen_with(feed: RecommendationFeed, product_id: str) -> dict[str, int]:
    found = feed.index.together(product_id, VIEWED | BOUGHT, VIEWED | BOUGHT, limit=10)
    return {one.product_id: one.visits for one in found}


async def test_sessions_arrive_when_they_are_written_and_again_when_they_grow(
    state: ShopState, reader: Reader, feed: RecommendationFeed
) -> None:
    for n in range(300):
        state.put_session(f"u{n}", 1, session_of("a", "b"), NOW_MS + n % 7)
    state.flush()
    await feed.refresh(reader)
    assert (feed.index.n_sessions, seen_with(feed, "a")) == (300, {"b": 300})
    state.put_session("u3", 1, session_of("a", "b", "c"), NOW_MS + 10)
    state.put_session("u3", 2, session_of("a", "d", at_ms=NOW_MS + 5_000), NOW_MS + 10)
    state.flush()
    await feed.refresh(reader)
    assert (feed.index.n_sessions, seen_with(feed, "a")) == (301, {"b": 300, "c": 1, "d": 1})


async def test_a_deleted_visitor_leaves_with_the_next_refresh_and_may_come_back(
    state: ShopState, reader: Reader, feed: RecommendationFeed
) -> None:
    state.put_session("u1", 1, session_of("a", "b"), NOW_MS)
    state.put_session("u2", 1, session_of("a", "c"), NOW_MS)
    state.flush()
    await feed.refresh(reader)
    state.forget_sessions("u1", digest="d1")
    state.flush()
    await feed.refresh(reader)
    assert seen_with(feed, "a") == {"c": 1}
    state.forget_sessions("u2", digest="d2")
    state.put_session("u2", 2, session_of("a", "d"), NOW_MS + 9)  # before anybody looked
    state.flush()
    await feed.refresh(reader)
    assert seen_with(feed, "a") == {"d": 1}


async def test_who_was_deleted_a_second_time_leaves_when_the_partition_is_compared(
    state: ShopState, reader: Reader, feed: RecommendationFeed
) -> None:
    state.forget_sessions("u1", digest="d1")
    state.put_session("u1", 1, session_of("a", "b"), NOW_MS)
    state.flush()
    await feed.refresh(reader)
    state.forget_sessions("u1", digest="d1")
    state.flush()
    for _ in range(LOOK_AGAIN * state.settings.partitions):
        await feed.refresh(reader)
    assert (feed.index.n_sessions, seen_with(feed, "a")) == (0, {})


async def test_partitions_of_several_pages_are_compared(
    state: ShopState, reader: Reader, feed: RecommendationFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommendation_feed, "IDS_PAGE", 10)
    for n in range(90):
        state.put_session(f"u{n}", 1, session_of("a", "b"), NOW_MS + n)
        state.see_product(n % 3, f"p{n}", SeenProduct("shirts", "Stride", 1_990, "EUR"))
    state.flush()
    await feed.refresh(reader)
    assert len(list(feed.catalogue.in_category("shirts"))) == 90
    for n in range(25):
        state.forget_sessions(f"u{n}", digest=f"d{n}")
    state.flush()
    await feed.refresh(reader)
    assert (feed.index.n_sessions, seen_with(feed, "a")) == (65, {"b": 65})


async def test_a_redis_that_came_back_older_is_read_again(
    state: ShopState, reader: Reader, feed: RecommendationFeed
) -> None:
    state.put_session("u1", 1, session_of("a", "b"), NOW_MS + 100)
    state.flush()
    await feed.refresh(reader)
    state.forget_sessions("u1", digest="d1")
    state.put_session("u1", 1, session_of("a", "c", at_ms=NOW_MS + 1), NOW_MS + 50)
    state.flush()
    await feed.refresh(reader)
    assert seen_with(feed, "a") == {"c": 1}


async def test_what_no_version_wrote_is_passed_over(
    state: ShopState, reader: Reader, feed: RecommendationFeed
) -> None:
    state.put_session("u1", 1, session_of("a", "b"), NOW_MS)
    state.put_session("u1", 2, StoredSession(NOW_MS, NOW_MS - 1, ("a",), (9,)), NOW_MS)
    state.see_product(0, "a", SeenProduct("x", None, 5, None))
    state.see_product(1, "b", SeenProduct("shirts", "Stride", 1_990, "EUR"))
    state.flush()
    await feed.refresh(reader)
    assert feed.index.n_sessions == 1
    facts = feed.catalogue.facts_of("b")
    assert (facts.categories, facts.brand, facts.price) == (("shirts",), "Stride", Amount(1_990, "EUR"))
    assert "a" not in feed.catalogue
