"""One suite over both stores of jobs: queues that coalesce and are bounded, and snapshots under a fence."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import pytest
import redis.asyncio as redis

from contracts.key_families import FORGOTTEN, OUTBOX, snapshot_key
from contracts.keys import Keys
from contracts.snapshots import Snapshot, decode_snapshot, encode_snapshot
from contracts.subjects import SubjectKind, product, visitor
from contracts.topics import Topics, register_output_topic
from sample_jobs import make_job, read_input
from stream.jobs.forgetting import forget_subjects, retractions
from stream.jobs.memory_store import MemoryJobStore
from stream.jobs.store import (
    JobStore,
    Pick,
    Publication,
    PublishStatus,
    Queue,
    RedisJobStore,
    SnapshotRecord,
)
from stream.state.commit import Commit, CommitStatus
from stream.state.memory_store import MemoryOutboxes, MemoryStore
from stream.state.outbox import Outboxes, RedisOutboxes
from stream.state.redis_store import RedisStore
from stream.state.store import Store
from stream.state.writes import AppendToStream, SetInHash, Write

P = 1
QUEUE = Queue(P, "demand")
OTHER = Queue(P, "prices")
LEASE_MS = 50_000
PACKED = b"\x05"
"""The number 5 in MessagePack."""


class Stores(NamedTuple):
    """A store of jobs, and the store of the stream and the outboxes beside it."""

    jobs: JobStore
    stream: Store
    outboxes: Outboxes

    async def snapshot(self, subject_id: str) -> Snapshot | None:
        blob: Any = (await self.stream.read_blobs({P: [snapshot_key(QUEUE.job, subject_id)]}))[P][0]
        return None if blob is None else decode_snapshot(blob)


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    keys = Keys(f"t{id(request)}", 4)
    if request.param == "memory":
        memory = MemoryStore(keys)
        yield Stores(MemoryJobStore(memory), memory, MemoryOutboxes(memory, alerts_kept=100))
        return
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    yield Stores(
        RedisJobStore(client, keys), RedisStore(client, keys), RedisOutboxes(client, keys, alerts_kept=100)
    )
    left = [key async for key in client.scan_iter(match=f"{keys.namespace}:*")]
    if left:
        await client.unlink(*left)
    await client.aclose()


async def offer(stores: Stores, *ids: str, due_ms: int = 1_000, most: int = 100, queue: Queue = QUEUE) -> int:
    return await stores.jobs.offer({queue: list(ids)}, due_ms=due_ms, max_queued=most)


async def due(stores: Stores, now_ms: int, queue: Queue = QUEUE) -> Sequence[tuple[str, int]]:
    heads = await stores.jobs.peek([0, P, 2], [QUEUE.job, OTHER.job], now_ms=now_ms, limit=100)
    return heads[queue].first if queue in heads else []


async def claim(stores: Stores) -> int:
    return (await stores.stream.claim({P: 0}))[P].epoch


async def commit(stores: Stores, epoch: int, writes: Sequence[Write]) -> None:
    assert await stores.stream.commit([Commit(P, epoch, {}, writes)]) == [CommitStatus.APPLIED]


def pick_of(epoch: int, subject_id: str = "p1", due_ms: int = 1_000, lease_ms: int = LEASE_MS) -> Pick:
    return Pick(QUEUE, epoch, subject_id, due_ms, lease_ms)


def publication_of(
    pick: Pick, made_ms: int = 2_000, *, packed: bytes = PACKED, next_ms: int = 0, digest: str = "",
    topic: str = "",
) -> Publication:  # fmt: skip
    blob = encode_snapshot(1, pick.epoch, made_ms, packed) if packed else b""
    record = SnapshotRecord(topic, pick.subject_id, f"{made_ms}", b"{}" if packed else b"") if topic else None
    return Publication(pick, made_ms, blob, 60, next_ms, digest, record)


async def test_a_subject_waits_once_and_as_long_as_it_was_first_to(stores: Stores) -> None:
    await offer(stores, "p1", "p2", due_ms=1_000)
    await offer(stores, "p1", "p3", due_ms=2_000)
    assert await due(stores, 999) == []
    assert await due(stores, 1_999) == [("p1", 1_000), ("p2", 1_000)]
    assert await due(stores, 2_000) == [("p1", 1_000), ("p2", 1_000), ("p3", 2_000)]
    assert await due(stores, 2_000, OTHER) == []


async def test_how_many_are_due_is_said_whatever_the_limit(stores: Stores) -> None:
    await offer(stores, *[f"p{i}" for i in range(9)])
    heads = await stores.jobs.peek([P], [QUEUE.job], now_ms=1_000, limit=2)
    assert heads[QUEUE].waiting == 9
    assert [subject_id for subject_id, _ in heads[QUEUE].first] == ["p0", "p1"]


async def test_a_full_queue_drops_those_due_last_and_says_how_many(stores: Stores) -> None:
    assert await offer(stores, "p1", "p2", due_ms=2_000, most=3) == 0
    assert await offer(stores, "p3", due_ms=1_000, most=3) == 0
    assert await offer(stores, "p1", "p4", "p5", due_ms=3_000, most=3) == 2
    assert [subject_id for subject_id, _ in await due(stores, 9_000)] == ["p3", "p1", "p2"]


async def test_thousands_are_offered_at_once(stores: Stores) -> None:
    await offer(stores, *[f"p{i}" for i in range(9_001)], most=10_000)
    heads = await stores.jobs.peek([P], [QUEUE.job], now_ms=1_000, limit=1)
    assert heads[QUEUE].waiting == 9_001


async def test_what_is_taken_is_due_again_when_its_lease_ends(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "p1", "p2")
    assert await stores.jobs.take([pick_of(epoch), pick_of(epoch)]) == [True, False], "once"
    assert await due(stores, LEASE_MS - 1) == [("p2", 1_000)]
    assert await due(stores, LEASE_MS) == [("p2", 1_000), ("p1", LEASE_MS)]


async def test_only_the_owner_takes_and_only_what_is_there(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "p1")
    assert await stores.jobs.take([pick_of(epoch, "p2"), pick_of(epoch, due_ms=999)]) == [False, False]
    await claim(stores)
    assert await stores.jobs.take([pick_of(epoch)]) == [False]


async def test_a_snapshot_is_written_with_its_record_and_the_subject_leaves_the_queue(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "p1")
    await stores.jobs.take([pick_of(epoch)])
    publication = publication_of(pick_of(epoch), topic="x.demand")
    assert await stores.jobs.publish(publication) is PublishStatus.PUBLISHED
    assert await stores.snapshot("p1") == Snapshot(1, epoch, 2_000, 5)
    assert await due(stores, 10 * LEASE_MS) == []
    assert await outbox(stores) == [("x.demand", b"p1", "2000", b"{}")]


async def outbox(stores: Stores) -> list[tuple[str, bytes | None, str, bytes]]:
    pages = await stores.outboxes.read([P], 10)
    return [(item.topic, item.key, item.item_id, item.value) for item in pages.get(P, [])]


async def test_a_subject_that_became_stale_meanwhile_is_worked_on_once_more(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "p1")
    await stores.jobs.take([pick_of(epoch)])
    await offer(stores, "p1", due_ms=3_000)
    await offer(stores, "p1", due_ms=4_000)
    await stores.jobs.publish(publication_of(pick_of(epoch), next_ms=90_000))
    assert await due(stores, 100_000) == [("p1", 3_000)]


async def test_a_snapshot_is_made_again_after_its_time(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "p1")
    await stores.jobs.take([pick_of(epoch)])
    await stores.jobs.publish(publication_of(pick_of(epoch), next_ms=90_000))
    assert await due(stores, 100_000) == [("p1", 90_000)]
    await offer(stores, "p1", due_ms=5_000)
    assert await due(stores, 100_000) == [("p1", 5_000)]


async def test_a_zombie_publishes_nothing(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "p1")
    await stores.jobs.take([pick_of(epoch)])
    await claim(stores)
    publication = publication_of(pick_of(epoch), topic="x.demand")
    assert await stores.jobs.publish(publication) is PublishStatus.FENCED
    assert await stores.snapshot("p1") is None
    assert await outbox(stores) == []
    assert await due(stores, LEASE_MS) == [("p1", LEASE_MS)], "it is the next owner's"


async def test_a_store_that_came_back_older_takes_nothing_of_a_later_epoch(stores: Stores) -> None:
    await claim(stores)
    assert await stores.jobs.publish(publication_of(pick_of(7))) is PublishStatus.FENCED


async def test_a_snapshot_never_replaces_a_newer_one(stores: Stores) -> None:
    epoch = await claim(stores)
    await stores.jobs.publish(publication_of(pick_of(epoch), made_ms=2_000))
    late = publication_of(pick_of(epoch), made_ms=1_999, topic="x.demand")
    assert await stores.jobs.publish(late) is PublishStatus.OLDER
    assert (await stores.snapshot("p1")) == Snapshot(1, epoch, 2_000, 5)
    assert await outbox(stores) == []
    same = publication_of(pick_of(epoch), made_ms=2_000)
    assert await stores.jobs.publish(same) is PublishStatus.PUBLISHED, "done twice, it does no harm"


async def test_the_next_owner_replaces_a_snapshot_whatever_its_clock_says(stores: Stores) -> None:
    epoch = await claim(stores)
    await stores.jobs.publish(publication_of(pick_of(epoch), made_ms=9_000))
    epoch = await claim(stores)
    assert await stores.jobs.publish(publication_of(pick_of(epoch))) is PublishStatus.PUBLISHED
    assert await stores.snapshot("p1") == Snapshot(1, epoch, 2_000, 5)


async def test_where_there_is_no_value_any_more_the_snapshot_is_taken_back(stores: Stores) -> None:
    epoch = await claim(stores)
    nothing = publication_of(pick_of(epoch), packed=b"", topic="x.demand")
    await stores.jobs.publish(nothing)
    assert await outbox(stores) == [], "there was none to take back"
    await stores.jobs.publish(publication_of(pick_of(epoch), topic="x.demand"))
    await offer(stores, "p1")
    await stores.jobs.take([pick_of(epoch)])
    await stores.jobs.publish(nothing._replace(made_ms=3_000, next_ms=90_000))
    assert await stores.snapshot("p1") is None
    assert [value for *_, value in await outbox(stores)] == [b"{}", b""]
    assert await due(stores, 100_000) == [], "nor is there anything to make again"


async def test_nothing_is_written_of_a_person_who_was_deleted_meanwhile(stores: Stores) -> None:
    epoch = await claim(stores)
    await offer(stores, "u1")
    await stores.jobs.take([pick_of(epoch, "u1")])
    await commit(stores, epoch, [SetInHash(FORGOTTEN, {"d1": 2_000})])
    publication = publication_of(pick_of(epoch, "u1"), made_ms=2_000, digest="d1", topic="x.demand")
    assert await stores.jobs.publish(publication) is PublishStatus.FORGOTTEN
    assert await stores.snapshot("u1") is None
    assert await outbox(stores) == []
    assert await due(stores, LEASE_MS) == []
    later = publication_of(pick_of(epoch, "u1"), made_ms=2_001, digest="d1")
    assert await stores.jobs.publish(later) is PublishStatus.FORGOTTEN, "the deletion was applied late"
    await offer(stores, "u1")
    assert await stores.jobs.publish(later) is PublishStatus.PUBLISHED, "who came back is a new visitor"


async def test_large_epochs_and_times_are_compared_exactly(stores: Stores) -> None:
    await stores.stream.claim({P: 2**40})
    epoch, made_ms = 2**40 + 1, 2**42
    await stores.jobs.publish(
        publication_of(pick_of(epoch), made_ms=made_ms, packed=b"\xc4\xff" + b"x" * 255)
    )
    assert await stores.snapshot("p1") == Snapshot(1, epoch, made_ms, b"x" * 255)
    late = publication_of(pick_of(epoch), made_ms=made_ms - 1)
    assert await stores.jobs.publish(late) is PublishStatus.OLDER


async def test_a_deletion_removes_snapshot_place_and_record(stores: Stores) -> None:
    register_output_topic("segments")
    job = make_job(read_input, name=QUEUE.job, kind=SubjectKind.VISITOR, topic="segments")
    epoch = await claim(stores)
    for user in ("u1", "u2"):
        await stores.jobs.publish(publication_of(pick_of(epoch, user)))
        await offer(stores, user)
    gone = [visitor("u1"), product("u2")]
    entries = list(retractions([job], gone, Topics("x.")))
    await commit(stores, epoch, [*forget_subjects([job], gone), AppendToStream(OUTBOX, entries)])
    assert [await stores.snapshot(user) is None for user in ("u1", "u2")] == [True, False]
    assert [user for user, _ in await due(stores, 10_000)] == ["u2"]
    assert await outbox(stores) == [("x.segments", b"u1", "demand-u1-forgotten", b"")]
