"""The commits of a round: sent a few at a time while the next are made, each judged for itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from shoppers import NOW_MS, make_event
from stream.batch.core import PYTHON
from stream.batch.entries import Entry
from stream.batch.records import Record
from stream.batch.step import StepSettings
from stream.partitions.assignment import Assignment, TopicPartition
from stream.partitions.committer import Committer, Fenced
from stream.partitions.component_steps import ComponentSteps
from stream.partitions.rounds import COMMITS_AT_ONCE, Batch, Rounds
from stream.registry import make_registry
from stream.runtime.metrics import Meter
from stream.scoring.slot_steps import SlotSteps
from stream.state.commit import NO_OFFSET, Claim, ClaimRead, Commit, CommitStatus
from stream.state.memory_store import MemoryStore

TOPICS = Topics()
N_PARTITIONS = 2 * COMMITS_AT_ONCE + 1
SETTINGS = Settings(partitions=N_PARTITIONS, scoring=False)


class OneView:
    """`stream.partitions.assignment.Log` with one view in every partition."""

    def __init__(self) -> None:
        self.moves: list[TopicPartition] = []

    async def bounds(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {tp: (0, int(tp[0] == "view")) for tp in tps}

    async def ends(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: int(tp[0] == "view") for tp in tps}

    async def read(
        self, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> dict[TopicPartition, list[Record]]:
        raise AssertionError(f"nobody was deleted, asked for {spans}")

    async def move(self, tp: TopicPartition, offset: int) -> None:
        assert offset == 0
        self.moves.append(tp)

    def note_applied(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Nobody asks for it."""


class SlowStore(MemoryStore):
    """A store that answers no commit before `answers_after` calls have come."""

    def __init__(self, answers_after: int) -> None:
        super().__init__(Keys(SETTINGS.namespace, N_PARTITIONS))
        self.calls: list[list[int]] = []
        self._answers_after = answers_after
        self._enough = asyncio.Event()

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        self.calls.append([commit.partition for commit in commits])
        if len(self.calls) >= self._answers_after:
            self._enough.set()
        await self._enough.wait()
        return await super().commit(commits)


class RevokedStore(MemoryStore):
    """A store during whose answer to a claim some partitions are revoked."""

    def __init__(self) -> None:
        super().__init__(Keys(SETTINGS.namespace, N_PARTITIONS))
        self.revoke: Callable[[], None] = lambda: None

    async def claim(self, floors: Mapping[int, int], reads: Sequence[ClaimRead] = ()) -> dict[int, Claim]:
        claims = await super().claim(floors, reads)
        self.revoke()
        return claims


class Worker:
    """A worker's rounds without Kafka and Redis."""

    def __init__(self, store: MemoryStore) -> None:
        meter = Meter()
        self.log = OneView()
        registry = make_registry(SETTINGS)
        self.assignment = Assignment(TOPICS, registry, store, self.log, meter)
        slots = SlotSteps(SETTINGS, registry.slots.values(), meter)
        committer = Committer(SETTINGS, registry, store, self.assignment, meter, slots.drift)
        steps = ComponentSteps(registry, TOPICS, committer, meter)
        self.rounds = Rounds(StepSettings.of(SETTINGS), PYTHON, registry, committer, steps, slots, meter)

    async def take_batches(self) -> list[Batch]:
        """Claim all partitions, and take the view of each."""
        await self.assignment.assign(
            [(topic, p) for topic in TOPICS.partitioned for p in range(N_PARTITIONS)]
        )
        batches = []
        for p, part in self.assignment.partitions.items():
            view = make_event("view", 0, user=f"u{p}")
            part.buffers["view"].append(Entry(0, view.event_time_ms, NOW_MS, view, None))
            batches.append(Batch(part, *part.take(10, set())))
        return batches


async def test_commits_are_sent_a_few_at_a_time_before_the_first_is_answered() -> None:
    store = SlowStore(answers_after=3)
    worker = Worker(store)
    batches = await worker.take_batches()
    async with asyncio.timeout(10):
        await worker.rounds.run(batches)
    numbers = list(range(N_PARTITIONS))
    assert store.calls == [numbers[:3], numbers[3:6], numbers[6:]]
    for p, part in worker.assignment.partitions.items():
        assert store.partitions[p].offsets == {"view": 1}
        assert store.partitions[p].counter("applied") == 1
        assert part.stored["view"] == 1
        assert store.partitions[p].names("v:") == list(part.visitors.known([f"u{p}"])) == [f"u{p}"]


async def test_a_partition_that_somebody_else_claimed_ends_the_round() -> None:
    store = SlowStore(answers_after=1)
    worker = Worker(store)
    batches = await worker.take_batches()
    store.partitions[4].hash("meta")["epoch"] = "2"
    with pytest.raises(Fenced, match="partition 4 was claimed by another worker"):
        await worker.rounds.run(batches)
    assert store.partitions[0].offsets == {"view": 1}
    assert store.partitions[4].offsets == {}


async def test_a_partition_whose_state_came_back_older_is_read_again_and_the_others_go_on() -> None:
    store = SlowStore(answers_after=1)
    worker = Worker(store)
    batches = await worker.take_batches()
    worker.log.moves.clear()
    store.partitions[1].hash("meta")["epoch"] = "0"
    await worker.rounds.run(batches)
    assert {p for _, p in worker.log.moves} == {1}
    assert worker.assignment.partitions[1].stored["view"] == NO_OFFSET
    others = [p for p in range(N_PARTITIONS) if p != 1]
    assert [store.partitions[p].counter("applied") for p in others] == [1] * len(others)


async def test_what_is_revoked_while_it_is_claimed_is_not_ours_until_it_is_assigned_again() -> None:
    store = RevokedStore()
    worker = Worker(store)
    tps = [(topic, p) for topic in TOPICS.partitioned for p in range(N_PARTITIONS)]
    store.revoke = lambda: worker.assignment.revoke([1, 2])
    positions = await worker.assignment.assign(tps)
    others = set(range(N_PARTITIONS)) - {1, 2}
    assert set(worker.assignment.partitions) == {p for _, p in positions} == others
    store.revoke = lambda: None
    assert (
        {p for _, p in await worker.assignment.assign(tps)}
        == set(worker.assignment.partitions)
        == others | {1, 2}
    )
