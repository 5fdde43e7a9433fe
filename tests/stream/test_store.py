"""One suite over both stores: claim, fence, commit, deadlines, outbox."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis

from commits import CommitMaker
from contracts.alerts import (
    CART_ABANDONED,
    Alert,
    AlertState,
    Severity,
    VisitorDetail,
    decode_alert,
    make_alert_id,
)
from contracts.dead_letters import DeadLetter
from contracts.key_families import VISITOR
from contracts.keys import Keys
from contracts.numbers import MAX_MAJOR, MAX_QUANTITY, MAX_SUM_MINOR
from contracts.subjects import visitor
from contracts.visitor import Visitor, unpack_visitor
from shoppers import MINUTE_MS, NEW, NOW_MS, RULES, SETTINGS, make_entries, make_event
from stream.batch.entries import Clock, Entry
from stream.batch.result import BatchResult, Change
from stream.batch.step import apply_batch
from stream.partitions.assignment import claim_reads
from stream.partitions.partition import TIMERS
from stream.state.commit import NO_OFFSET, Claim, Commit, CommitStatus
from stream.state.memory_store import MemoryOutboxes, MemoryStore
from stream.state.outbox import Outboxes, OutboxItem, RedisOutboxes
from stream.state.redis_store import RedisStore
from stream.state.store import Store
from stream.state.writes import RemoveFromHash, SetInHash

MAKER = CommitMaker(SETTINGS)
READS = claim_reads(MAKER.registry)


@pytest.fixture(params=["memory", "redis"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Store, Outboxes]]:
    """A store and the outboxes in it, of each kind."""
    keys = Keys(f"t{id(request)}", 4)
    if request.param == "memory":
        memory = MemoryStore(keys)
        yield memory, MemoryOutboxes(memory, alerts_kept=100)
        return
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    yield RedisStore(client, keys), RedisOutboxes(client, keys, alerts_kept=100)
    left = [key async for key in client.scan_iter(match=f"{keys.namespace}:*")]
    if left:
        await client.unlink(*left)
    await client.aclose()


@pytest.fixture
def store(shop: tuple[Store, Outboxes]) -> Store:
    return shop[0]


@pytest.fixture
def outboxes(shop: tuple[Store, Outboxes]) -> Outboxes:
    return shop[1]


async def claim_of(store: Store, floor: int = 0) -> Claim:
    """A claim of partition 1."""
    return (await store.claim({1: floor}, READS))[1]


async def visitors_of(store: Store, *users: str) -> list[Visitor | None]:
    """States of visitors in partition 1."""
    blobs: Any = (await store.read_blobs({1: [VISITOR + user for user in users]}))[1]
    return [None if blob is None else unpack_visitor(blob) for blob in blobs]


def outcome_of(*kinds: str) -> BatchResult:
    events = [make_event(kind, i) for i, kind in enumerate(kinds)]
    return apply_batch(Clock(0, 0), make_entries(events), {}, RULES)


def commit_of(epoch: int, offsets: dict[str, tuple[int, int]], outcome: BatchResult | None = None) -> Commit:
    result = outcome or outcome_of("view", "cart")
    MAKER.apply(result, MAKER.states())
    return MAKER.make(1, epoch, offsets, result)


async def test_a_first_claim_finds_nothing_and_raises_the_epoch(store: Store) -> None:
    claim = await claim_of(store)
    assert (claim.epoch, claim.offsets, claim.found["due"]) == (1, {}, None)
    assert (await claim_of(store)).epoch == 2
    assert (await claim_of(store, floor=9)).epoch == 10


@pytest.mark.parametrize("score", ["-inf", "inf", "-1", "1e300"])
async def test_a_timer_of_an_impossible_time_stops_no_claim(redis_url: str, score: str) -> None:
    keys = Keys(f"t{uuid.uuid4().hex}", 4)
    async with redis.Redis.from_url(redis_url) as client:
        await client.zadd(keys.due(1), {"nobody": score})
        found = (await claim_of(RedisStore(client, keys))).found["due"]
        await client.delete(keys.due(1), keys.meta(1))
    assert 0 <= found <= MAX_SUM_MINOR


async def test_what_is_committed_is_found_by_the_next_owner(store: Store) -> None:
    await store.claim({1: 0})
    outcome = outcome_of("view", "cart")
    statuses = await store.commit([commit_of(1, {"view": (NO_OFFSET, 1), "cart": (NO_OFFSET, 1)}, outcome)])
    assert statuses == [CommitStatus.APPLIED]
    claim = await claim_of(store)
    assert claim.offsets == {"view": 1, "cart": 1}
    assert claim.max_event_ms == outcome.clock.max_event_ms
    assert claim.found["due"] == outcome.timers["u1"]
    assert await visitors_of(store, "u1", "nobody") == [outcome.visitors["u1"], None]
    assert await store.lowest("due", [1], 10) == {1: [("u1", outcome.timers["u1"])]}


async def test_an_older_epoch_is_fenced_and_writes_nothing(store: Store) -> None:
    await store.claim({1: 0})
    await store.claim({1: 0})
    assert await store.commit([commit_of(1, {"view": (NO_OFFSET, 2)})]) == [CommitStatus.FENCED]
    assert (await claim_of(store)).offsets == {}
    assert await visitors_of(store, "u1") == [None]


async def test_a_store_that_came_back_older_says_so(store: Store) -> None:
    await store.claim({1: 0})
    assert await store.commit([commit_of(7, {"view": (NO_OFFSET, 2)})]) == [CommitStatus.BEHIND]


async def test_a_commit_made_again_changes_nothing(store: Store) -> None:
    await store.claim({1: 0})
    commit = commit_of(1, {"view": (NO_OFFSET, 2)})
    assert await store.commit([commit, commit]) == [CommitStatus.APPLIED, CommitStatus.REPEATED]


@pytest.mark.parametrize("offsets", [{"view": (5, 9)}, {"view": (0, 3)}, {"view": (2, 3), "cart": (1, 2)}])
async def test_a_commit_that_starts_elsewhere_is_a_gap(
    store: Store, offsets: dict[str, tuple[int, int]]
) -> None:
    await store.claim({1: 0})
    await store.commit([commit_of(1, {"view": (NO_OFFSET, 2)})])
    assert await store.commit([commit_of(1, offsets)]) == [CommitStatus.GAP]
    assert (await claim_of(store)).offsets == {"view": 2}


async def test_a_topic_without_records_must_stand_where_it_was_too(store: Store) -> None:
    await store.claim({1: 0})
    await store.commit([commit_of(1, {"view": (NO_OFFSET, 2), "cart": (NO_OFFSET, NO_OFFSET)})])
    assert (await claim_of(store)).offsets == {"view": 2}
    assert await store.commit([commit_of(2, {"view": (2, 3), "cart": (4, 4)})]) == [CommitStatus.GAP]


async def test_a_deadline_is_cleared_once(store: Store) -> None:
    await store.claim({1: 0})
    await store.commit([commit_of(1, {"view": (NO_OFFSET, 2)})])
    cleared = BatchResult(Clock(NOW_MS, NOW_MS), timers={"u1": 0})
    cleared.counts.add_shop(NOW_MS - NOW_MS % MINUTE_MS, "se", 1)
    commit = commit_of(1, {TIMERS: (NO_OFFSET, 0)}, cleared)
    assert await store.commit([commit]) == [CommitStatus.APPLIED]
    assert await store.commit([commit]) == [CommitStatus.REPEATED]
    assert await store.lowest("due", [1], 10) == {1: []}


async def test_the_outbox_keeps_order_until_it_is_cleared(store: Store, outboxes: Outboxes) -> None:
    await store.claim({1: 0})
    letters = [DeadLetter("x.y", "why", "view", 1, i, None, b"\xff{", NOW_MS) for i in range(3)]
    outcome = apply_batch(
        Clock(0, 0), [Entry(i, 0, NOW_MS, None, x) for i, x in enumerate(letters)], {}, RULES
    )
    await store.commit([commit_of(1, {"view": (NO_OFFSET, 3)}, outcome)])
    items = (await outboxes.read([1], 2))[1]
    assert [(item.topic, item.key, item.item_id) for item in items] == [
        ("rejected", None, "view-1-0"),
        ("rejected", None, "view-1-1"),
    ]
    await outboxes.clear({1: items})
    assert [item.item_id for item in (await outboxes.read([1], 10))[1]] == ["view-1-2"]


async def test_a_step_of_an_alert_is_appended_once_and_in_order(store: Store, outboxes: Outboxes) -> None:
    await store.claim({1: 0})
    outcome = BatchResult(Clock(0, 0))
    outcome.prediction_results.alerts += [make_alert(episode=episode) for episode in (1, 2, 3)]
    outcome.prediction_results.alerts.append(make_alert(episode=4, live=False))
    await store.commit([commit_of(1, {"view": (NO_OFFSET, 3)}, outcome)])
    items = (await outboxes.read([1], 10))[1]
    assert [decode_alert(item.value).episode for item in items] == [1, 2, 3]
    assert {(item.topic, item.key) for item in items} == {("alerts", b"u1")}
    for part in (items[:2], items, items[:1]):
        assert await outboxes.append_alerts({1: part}) == set()
    assert await appended(outboxes) == [item.item_id for item in items]


async def test_only_the_newest_steps_of_alerts_are_kept(outboxes: Outboxes) -> None:
    items = [OutboxItem(f"{i}-0", "alerts", b"u1", f"a{i}-firing", b"{}") for i in range(260)]
    assert await outboxes.append_alerts({1: items[:20]}) == {1}, "the outbox was not even read"
    assert await outboxes.read([1], 10) == {}
    for start in range(0, 260, 20):
        await outboxes.append_alerts({1: items[start : start + 20]})
    kept = [f"a{i}-firing" for i in range(160, 260)]
    assert await appended(outboxes) == kept
    await outboxes.append_alerts({1: items[-20:]})
    assert await appended(outboxes) == kept


async def appended(outboxes: Outboxes) -> list[str]:
    """Ids in the log of alerts."""
    if isinstance(outboxes, MemoryOutboxes):
        return list(outboxes.alerts)
    assert isinstance(outboxes, RedisOutboxes)
    rows: Any = await outboxes._client.xrange(outboxes._keys.alerts())
    return [fields[b"id"].decode() for _, fields in rows]


def make_alert(*, episode: int, live: bool = True) -> Alert:
    alert_id = make_alert_id("u1", CART_ABANDONED, 1, episode, NOW_MS)
    return Alert(
        alert_id, CART_ABANDONED, AlertState.FIRING, Severity.LOW, visitor("u1"), episode, NOW_MS, NOW_MS,
        live, VisitorDetail(None, 1, NOW_MS, 1, 100, "EUR", None),
    )  # fmt: skip


async def test_sums_of_money_too_large_to_count_stop_nothing(store: Store) -> None:
    await store.claim({1: 0})
    dearest = make_event("purchase", 0, price_minor=MAX_MAJOR * 100, quantity=MAX_QUANTITY)
    for offset in range(2):
        events = [dearest._replace(event_id=f"{offset}-{i}") for i in range(200)]
        known = {"u1": (await visitors_of(store, "u1"))[0]}
        outcome = apply_batch(Clock(0, 0), make_entries(events), known, RULES)
        commit = commit_of(1, {"purchase": (offset or NO_OFFSET, offset + 1)}, outcome)
        assert await store.commit([commit]) == [CommitStatus.APPLIED]
    visitor = (await visitors_of(store, "u1"))[0]
    assert visitor is not None
    assert visitor.totals.revenue_minor == {"EUR": MAX_SUM_MINOR}


async def test_a_deletion_takes_a_visitor_out_of_everything_and_is_known_to_the_next_owner(
    store: Store,
) -> None:
    await store.claim({1: 0})
    events = [make_event("cart", 0), make_event("view", 0, user="u2")]
    await store.commit(
        [commit_of(1, {"view": (NO_OFFSET, 1)}, apply_batch(NEW, make_entries(events), {}, RULES))]
    )
    removal = removal_of("d" * 64, "u1")
    offsets = {"deletions": (NO_OFFSET, 1), "view": (1, 1)}
    assert await store.commit([commit_of(1, offsets, removal)]) == [CommitStatus.APPLIED]
    assert [visitor is None for visitor in await visitors_of(store, "u1", "u2")] == [True, False]
    assert [user for user, _ in (await store.lowest("due", [1], 10))[1]] == ["u2"]
    assert await store.keys_from(1, VISITOR) == ["u2"]
    assert await store.commit([commit_of(1, offsets, removal)]) == [CommitStatus.REPEATED]
    claim = await claim_of(store)
    assert (claim.found["forgotten"], claim.offsets["deletions"]) == ({"d" * 64: str(NOW_MS)}, 1)


def removal_of(digest: str, user: str) -> BatchResult:
    """A deletion as the component of deletions makes it."""
    removal = BatchResult(NEW)
    writes = [SetInHash("forgotten", {digest: NOW_MS}), RemoveFromHash("forgetting", [digest])]
    removal.add("deletions", Change(writes=writes, counters={"deletions": 1}, forget=[visitor(user)]))
    return removal


async def test_a_whole_hash_is_read(store: Store) -> None:
    await store.claim({1: 0})
    counts = {"pü": "1 0 0 9", "s": "1 0 0 9"}
    await store.commit([Commit(1, 1, {"view": (NO_OFFSET, 1)}, [SetInHash("item_counts", counts)])])
    assert await store.read_hash(1, "item_counts") == counts
    assert await store.read_hash(2, "item_counts") == {}


async def test_whom_a_digest_means_is_known_until_the_deletion_is_applied(
    redis_url: str, request: pytest.FixtureRequest
) -> None:
    keys = Keys(f"t{id(request)}", 4)
    async with redis.Redis.from_url(redis_url) as client:
        store = RedisStore(client, keys)
        await store.claim({1: 0})
        await client.hset(keys.forgetting(1), mapping={"a": "ünï", "b": "u2"})
        wanted = {1: ("forgetting", ["a", "c"]), 2: ("forgetting", ["a"]), 3: ("forgetting", [])}
        assert await store.read_fields(wanted) == {1: {"a": "ünï"}, 2: {}, 3: {}}
        await store.commit([commit_of(1, {"deletions": (NO_OFFSET, 1)}, removal_of("a", "ünï"))])
        assert await client.hgetall(keys.forgetting(1)) == {b"b": b"u2"}
        await client.unlink(keys.meta(1), keys.forgetting(1), keys.forgotten(1))
