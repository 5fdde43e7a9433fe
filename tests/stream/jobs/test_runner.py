"""The runner on a real Redis: from a trigger to a snapshot, and what keeps going when something fails."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis.asyncio as redis
from prometheus_client import CollectorRegistry

from connections.asyncio_redis import open_worker_redis
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.snapshots import Snapshot, decode_record, decode_snapshot
from contracts.subjects import SubjectKind, product
from contracts.topics import register_output_topic
from sample_jobs import compute, fail, make_job, read_input, sleep_long
from services import unique_settings
from shoppers import NEW, RULES, make_entries, make_event
from stream.batch.result import BatchResult
from stream.batch.step import apply_batch
from stream.jobs.job import DerivedJob, JobRegistry
from stream.jobs.metrics import JobMeter
from stream.jobs.runner import JobRunner
from stream.jobs.store import Queue, RedisJobStore
from stream.jobs.triggers import Triggers
from stream.state.outbox import RedisOutboxes
from stream.state.redis_store import RedisStore

PARTITIONS = 3


@dataclass
class Owned:
    epoch: int


@dataclass
class Worker:
    """A worker's part of the work beside the stream, which owns every partition."""

    settings: Settings
    client: redis.Redis
    jobs: JobRegistry = field(default_factory=JobRegistry)
    filled: list[int] = field(default_factory=list)
    owned: dict[int, Owned] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = Keys(self.settings.namespace, PARTITIONS)
        self.store = RedisJobStore(self.client, self.keys)
        self.stream = RedisStore(self.client, self.keys)
        self.outboxes = RedisOutboxes(self.client, self.keys, alerts_kept=100)
        self.registry = CollectorRegistry()
        self.meter = JobMeter(self.registry)
        self.runner: JobRunner | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self, *jobs: DerivedJob) -> None:
        for job in jobs:
            self.jobs.add(job)
        self.triggers = Triggers(self.jobs, PARTITIONS, self.meter)
        claims = await self.stream.claim(dict.fromkeys(range(PARTITIONS), 0))
        self.owned.update({p: Owned(claim.epoch) for p, claim in claims.items()})
        self.runner = JobRunner(
            self.settings, self.jobs, self.store, lambda: self.owned, self.triggers, self.meter,
            self.filled.append,
        )  # fmt: skip
        self._running = asyncio.create_task(self.runner.run())

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def give(self, product_id: str, text: str) -> None:
        await self.client.hset(f"{self.settings.namespace}:input:{product_id}", "text", text)

    async def snapshot(self, job: str, product_id: str) -> Snapshot | None:
        blob: Any = await self.client.get(self.keys.snapshot(job, product_id))
        return None if blob is None else decode_snapshot(blob)

    async def await_text(self, product_id: str, text: str) -> Snapshot:
        """The snapshot of a product once it has this text."""
        deadline = asyncio.get_running_loop().time() + 60
        while True:
            found = await self.snapshot("read_input", product_id)
            if found is not None and found.value["text"] == text:
                return found
            assert asyncio.get_running_loop().time() < deadline, f"waited for {text}, found {found}"
            await asyncio.sleep(0.05)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"storepulse_worker_job_{name}", labels) or 0.0

    async def await_runs(self, number: int, **labels: str) -> None:
        deadline = asyncio.get_running_loop().time() + 60
        while self.count("runs_total", **labels) < number:
            assert asyncio.get_running_loop().time() < deadline, f"waited for {number} runs {labels}"
            await asyncio.sleep(0.05)


@pytest.fixture
async def worker(redis_url: str) -> AsyncIterator[Worker]:
    settings = unique_settings("127.0.0.1:1", redis_url, partitions=PARTITIONS)
    client = open_worker_redis(settings)
    worker = Worker(settings, client)
    yield worker
    await worker.stop()
    left = [key async for key in client.scan_iter(match=f"{settings.namespace}:*")]
    if left:
        await client.unlink(*left)
    await client.aclose()


def products_of(result: BatchResult) -> set[str]:
    """The products in a batch's new actions."""
    return {product_id for kinds in result.counts.minutes.values() for ids in kinds for product_id in ids}


def batch_about(*product_ids: str) -> BatchResult:
    events = [make_event("view", i, product=product_id) for i, product_id in enumerate(product_ids)]
    return apply_batch(NEW, make_entries(events), {}, RULES)


async def test_a_commit_leads_to_a_snapshot_in_the_partition_that_owns_the_product(worker: Worker) -> None:
    await worker.start(make_job(read_input, stale=products_of))
    ids = [f"p{i}" for i in range(5)]
    assert len({partition_of(id_, PARTITIONS) for id_ in ids}) > 1
    for id_ in ids:
        await worker.give(id_, "first")
    before_ms = wall_clock_ms()
    worker.triggers.note(0, batch_about(*ids))
    for id_ in ids:
        found = await worker.await_text(id_, "first")
        owner = worker.owned[partition_of(id_, PARTITIONS)]
        assert (found.version, found.epoch) == (1, owner.epoch)
        assert before_ms <= found.made_ms == found.value["made_ms"]
    assert worker.count("runs_total", job="read_input", result="published") == 5
    await worker.give("p1", "second")
    worker.triggers.note(2, batch_about("p1"))
    await worker.await_text("p1", "second")


async def test_many_commits_about_a_product_are_one_run(worker: Worker) -> None:
    await worker.start(make_job(read_input, stale=products_of, interval_s=1.0))
    await worker.give("p1", "first")
    for p in range(PARTITIONS):
        for _ in range(50):
            worker.triggers.note(p, batch_about("p1"))
    await worker.await_text("p1", "first")
    assert await worker.client.hget(f"{worker.settings.namespace}:runs", "p1") == b"1"


async def test_a_topic_gets_each_snapshot_through_the_outbox(worker: Worker) -> None:
    register_output_topic("inputs")
    await worker.start(make_job(read_input, stale=products_of, topic="inputs", version=3))
    await worker.give("p1", "first")
    worker.triggers.note(0, batch_about("p1"))
    found = await worker.await_text("p1", "first")
    owner = partition_of("p1", PARTITIONS)
    await worker.await_runs(1, job="read_input", result="published")
    assert worker.filled == [owner]
    [item] = (await worker.outboxes.read([owner], 10))[owner]
    assert (item.topic, item.key) == (f"{worker.settings.topic_prefix}inputs", b"p1")
    assert item.item_id == f"read_input-p1-{found.epoch}-{found.made_ms}"
    assert decode_record(item.value) == ("read_input", product("p1"), found)
    assert found.version == 3


async def test_what_fails_or_hangs_is_counted_and_holds_up_nothing_else(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = make_job(sleep_long, stale=products_of, limit_s=0.2)
    await worker.start(make_job(fail, stale=products_of), hanging, make_job(read_input, stale=products_of))
    await worker.give("p1", "first")
    worker.triggers.note(0, batch_about("p1", "p2", "p3"))
    await worker.await_text("p1", "first")
    await worker.await_runs(3, job="fail", result="failed")
    await worker.await_runs(1, job="sleep_long", result="timeout")
    said = [line for line in caplog.messages if "job fail failed" in line]
    assert len(said) == 1, "said once, counted each time"
    assert "cannot be" in said[0]


async def test_what_cannot_say_what_is_stale_is_counted_and_the_others_go_on(worker: Worker) -> None:
    def broken(_: BatchResult) -> list[str]:
        raise KeyError("what")

    await worker.start(make_job(fail, stale=broken), make_job(read_input, stale=products_of))
    await worker.give("p1", "first")
    worker.triggers.note(0, batch_about("p1"))
    await worker.await_text("p1", "first")
    assert worker.count("failed_triggers_total", job="fail") == 1


async def test_only_what_is_owned_is_worked_on_and_the_next_owner_finds_the_rest(worker: Worker) -> None:
    await worker.start(make_job(read_input, stale=products_of))
    lost = partition_of("p1", PARTITIONS)
    kept = next(f"p{i}" for i in range(2, 99) if partition_of(f"p{i}", PARTITIONS) != lost)
    given_up = worker.owned.pop(lost)
    for id_ in ("p1", kept):
        await worker.give(id_, "first")
    worker.triggers.note(0, batch_about("p1", kept))
    await worker.await_text(kept, "first")
    assert await worker.snapshot("read_input", "p1") is None
    worker.owned[lost] = given_up
    await worker.await_text("p1", "first")


async def test_a_snapshot_made_for_a_partition_that_was_lost_is_refused(worker: Worker) -> None:
    await worker.start(make_job(compute, stale=products_of))
    await worker.client.hincrby(worker.keys.meta(partition_of("p1", PARTITIONS)), "epoch", 1)
    worker.triggers.note(0, batch_about("p1"))
    await asyncio.sleep(0.7)
    assert worker.count("runs_total", job="compute", result="published") == 0, "not even taken"
    assert await worker.snapshot("compute", "p1") is None


async def test_a_snapshot_is_made_again_when_its_time_has_come(worker: Worker) -> None:
    await worker.start(make_job(read_input, stale=products_of, refresh_s=0.5))
    await worker.give("p1", "first")
    worker.triggers.note(0, batch_about("p1"))
    await worker.await_text("p1", "first")
    await worker.give("p1", "second")  # and no commit says so
    await worker.await_text("p1", "second")


async def test_jobs_take_turns_however_many_subjects_one_has(worker: Worker) -> None:
    await worker.start(make_job(compute, stale=lambda _: ()), make_job(read_input, stale=products_of))
    queues = {
        Queue(p, "compute"): [f"c{i}" for i in range(300) if partition_of(f"c{i}", PARTITIONS) == p]
        for p in range(PARTITIONS)
    }
    await worker.store.offer(queues, due_ms=wall_clock_ms() - 1_000, max_queued=1_000)
    await worker.await_runs(1, job="compute", result="published")
    await worker.give("p1", "first")
    worker.triggers.note(0, batch_about("p1"))
    await worker.await_text("p1", "first")
    assert worker.count("runs_total", job="compute", result="published") < 150, "300 take half a minute"
    assert worker.count("waiting", job="compute") > 100
    assert worker.count("lag_seconds", job="compute") >= 1


async def test_redis_may_go_away_for_a_while(worker: Worker) -> None:
    """Every call of the runner fails as long as its connections are cut; triggers are kept meanwhile."""
    await worker.start(make_job(read_input, stale=products_of))
    await worker.give("p1", "first")
    offered = worker.store.offer
    failures: list[int] = []

    async def away(*args: Any, **kwargs: Any) -> int:
        if len(failures) < 3:
            failures.append(1)
            raise redis.ConnectionError("away")
        return await offered(*args, **kwargs)

    worker.store.offer = away  # type: ignore[method-assign]
    worker.triggers.note(0, batch_about("p1"))
    await worker.await_text("p1", "first")
    assert len(failures) == 3


async def test_the_end_of_a_worker_waits_for_no_run(worker: Worker) -> None:
    await worker.start(make_job(sleep_long, stale=products_of))
    worker.triggers.note(0, batch_about("p1"))
    deadline = asyncio.get_running_loop().time() + 60
    while not worker.count("running"):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    began = asyncio.get_running_loop().time()
    await worker.stop()
    assert asyncio.get_running_loop().time() - began < 2
    assert await worker.snapshot("sleep_long", "p1") is None
    heads = await worker.store.peek(
        range(PARTITIONS), ["sleep_long"], now_ms=wall_clock_ms() + 10**6, limit=1
    )
    assert [head.waiting for head in heads.values()] == [1], "it is left to the next owner"


async def test_a_worker_that_ends_just_as_a_run_does_ends_all_the_same(worker: Worker) -> None:
    await worker.start(make_job(read_input, stale=products_of))
    assert worker._running is not None
    assert worker.runner is not None
    await asyncio.sleep(0.1)
    worker.runner._wake.set()
    worker._running.cancel()  # before it has woken up
    done, _ = await asyncio.wait([worker._running], timeout=10)
    assert done


@pytest.mark.parametrize("kind", [SubjectKind.VISITOR])
async def test_work_on_a_visitor_is_for_the_partition_whose_batch_names_them(
    worker: Worker, kind: SubjectKind
) -> None:
    await worker.start(make_job(read_input, kind=kind, stale=lambda result: result.visitors.keys()))
    await worker.give("u1", "first")
    p = partition_of("u1", PARTITIONS)
    worker.triggers.note(p, batch_about("p1"))
    assert (await worker.await_text("u1", "first")).epoch == worker.owned[p].epoch
