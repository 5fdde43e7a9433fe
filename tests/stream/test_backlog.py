"""In a backlog a partition waits for a whole batch, but never for something that does not come."""

import asyncio

import pytest

from contracts.settings import Settings
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from shoppers import make_event
from stream.registry import make_registry

BATCH = 40
SETTINGS = Settings(partitions=2, batch_events=BATCH, scoring=False)
SCHEDULER = "stream.partitions.scheduler"


class Backlog:
    """A worker far behind a log of views in both of its partitions."""

    def __init__(self) -> None:
        self.kafka = MemoryLog(SETTINGS.partitions)
        self.store = WatchedStore(SETTINGS)
        self.worker = MemoryWorker(SETTINGS, make_registry(SETTINGS), self.kafka, self.store)
        self.scheduler = self.worker.scheduler
        for number in range(8 * BATCH):
            self.kafka.send(make_event("view", number, user=f"u{number}"))

    async def deliver(self, p: int, *, to: int, end: int | None = None) -> None:
        """Deliver the views of a partition up to an offset; its log ends at `end`, if not where it does."""
        start, records = self.worker.assignment.partitions[p].fetched["view"], self.kafka.records["view", p]
        await self.scheduler.offer("view", p, records[start:to], start, to, end or len(records))

    async def apply(self) -> list[int]:
        """Sizes of the commits of one round, by partition; 0 for those without."""
        before = [self.store.partitions[p].counter("applied") for p in range(SETTINGS.partitions)]
        await self.scheduler._apply_round(self.scheduler._groups)
        return [self.store.partitions[p].counter("applied") - before[p] for p in range(SETTINGS.partitions)]


@pytest.fixture
async def backlog(monkeypatch: pytest.MonkeyPatch) -> Backlog:
    monkeypatch.setattr(f"{SCHEDULER}.BEHIND_EVENTS", 5)
    found = Backlog()
    await found.worker.claim()
    return found


async def test_a_batch_is_whole_while_its_log_goes_on(backlog: Backlog) -> None:
    await backlog.deliver(0, to=BATCH - 1)
    assert await backlog.apply() == [0, 0]
    await backlog.deliver(0, to=BATCH + 5)
    await backlog.deliver(1, to=BATCH - 1)
    assert await backlog.apply() == [BATCH, 0]


async def test_less_than_a_batch_does_not_wait_for_the_rest_of_it(backlog: Backlog) -> None:
    await backlog.deliver(0, to=7, end=BATCH - 1)
    await backlog.deliver(1, to=BATCH - 1)
    assert await backlog.apply() == [7, 0]


async def test_live_traffic_waits_for_nothing(backlog: Backlog) -> None:
    await backlog.deliver(0, to=3)
    await backlog.deliver(1, to=2)
    assert await backlog.apply() == [3, 2]


async def test_a_slow_log_is_not_waited_for(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{SCHEDULER}.FILL_S", 0.0)
    await backlog.deliver(0, to=9)
    assert await backlog.apply() == [9, 0]


async def test_nobody_waits_for_what_there_is_no_room_for(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SCHEDULER}.MAX_BUFFERED", 2 * BATCH - 4)
    await backlog.deliver(0, to=BATCH - 1)
    await backlog.deliver(1, to=BATCH - 2)
    for group in backlog.scheduler._groups:
        group.wake.clear()
    offer = asyncio.create_task(backlog.deliver(1, to=BATCH))
    await asyncio.sleep(0)
    assert all(group.wake.is_set() for group in backlog.scheduler._groups)
    assert await backlog.apply() == [BATCH - 1, BATCH - 2]
    await offer


async def test_a_worker_that_stops_commits_what_it_has(backlog: Backlog) -> None:
    await backlog.deliver(0, to=BATCH + 9)
    await backlog.scheduler.drain()
    assert backlog.store.counter("applied") == BATCH + 9


async def test_a_round_is_no_larger_than_it_may_be(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{SCHEDULER}.ROUND_EVENTS", BATCH)
    await backlog.deliver(0, to=BATCH)
    await backlog.deliver(1, to=BATCH)
    assert await backlog.apply() == [BATCH, 0]
    assert await backlog.apply() == [0, BATCH]


async def test_a_commit_has_about_as_many_visitors_as_it_may(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every view here is of a visitor of its own."""
    monkeypatch.setattr(f"{SCHEDULER}.COMMIT_VISITORS", BATCH // 4)
    await backlog.deliver(0, to=2 * BATCH)
    assert await backlog.apply() == [BATCH, 0]
    assert await backlog.apply() == [BATCH // 4, 0]
