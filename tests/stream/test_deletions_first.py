"""A worker's core in memory: deletions are read with the claim and applied before any event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.deletions import Deletion, digest_user, encode_deletion, secret_id_of
from contracts.events import encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import unpack_visitor
from shoppers import NOW_MS, make_event
from stream.batch.core import PYTHON
from stream.batch.records import Record
from stream.partitions.assignment import Assignment, TopicPartition
from stream.partitions.committer import Committer
from stream.partitions.scheduler import Scheduler
from stream.registry import make_registry
from stream.runtime.metrics import Meter
from stream.scoring.slot_steps import SlotSteps
from stream.state.commit import Commit, CommitStatus
from stream.state.memory_store import Hash, MemoryStore

TOPICS = Topics()
SETTINGS = Settings(partitions=1, scoring=False, deletion_secret="s")  # noqa: S106
DIGEST = digest_user("u1", "s")


@dataclass(frozen=True)
class Raw:
    """A record as a consumer gives it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


class MemoryLog:
    """`stream.partitions.assignment.Log` of one partition, in memory."""

    def __init__(self) -> None:
        self.records: dict[str, list[Raw]] = {topic: [] for topic in TOPICS.partitioned}
        self.moves: dict[TopicPartition, int] = {}

    def append(self, topic: str, key: str, value: bytes, at_ms: int) -> None:
        """Write a record."""
        self.records[topic].append(Raw(len(self.records[topic]), at_ms, key.encode(), value))

    async def bounds(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {tp: (0, len(self.records[tp[0]])) for tp in tps}

    async def ends(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: len(self.records[tp[0]]) for tp in tps}

    async def read(
        self, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> dict[TopicPartition, list[Record]]:
        return {tp: list(self.records[tp[0]][start:end]) for tp, (start, end) in spans.items()}

    async def move(self, tp: TopicPartition, offset: int) -> None:
        self.moves[tp] = offset

    def note_applied(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Nobody asks for it."""


class WatchedStore(MemoryStore):
    """A store that remembers every visitor it ever had a state of."""

    def __init__(self) -> None:
        super().__init__(Keys(SETTINGS.namespace, 1))
        self.known: set[str] = set()

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        statuses = await super().commit(commits)
        self.known.update(self.partitions[0].names("v:"))
        return statuses


class Core:
    """A worker without Kafka and Redis."""

    def __init__(self, kafka: MemoryLog, store: WatchedStore) -> None:
        meter = Meter()
        self.kafka = kafka
        registry = make_registry(SETTINGS)
        self.assignment = Assignment(TOPICS, registry, store, kafka, meter)
        slots = SlotSteps(SETTINGS, registry.slots.values(), meter)
        committer = Committer(SETTINGS, registry, store, self.assignment, meter, slots.drift)
        self.scheduler = Scheduler(SETTINGS, PYTHON, registry, committer, slots, self.assignment, meter)

    async def read_all(self) -> None:
        """Claim the partition, then deliver and apply the log topic by topic, from where the claim says."""
        tps = [(topic, 0) for topic in TOPICS.partitioned]
        for (topic, _), position in (await self.assignment.assign(tps)).items():
            records = self.kafka.records[topic]
            await self.scheduler.offer(topic, 0, records[position:], position, len(records))
            await self.scheduler.drain()


def shop() -> MemoryLog:
    kafka = MemoryLog()
    for second, user in enumerate(("u1", "u2", "u1")):
        event = make_event("view", second, user=user)
        kafka.append("view", user, encode(event), NOW_MS + second * 1_000)
    return kafka


def delete(kafka: MemoryLog, second: float) -> None:
    deletion = Deletion("d1", DIGEST, NOW_MS + int(second * 1_000), secret_id_of("s"))
    kafka.append("deletions", DIGEST, encode_deletion(deletion), deletion.at_ms)


async def test_who_was_deleted_never_appears_when_the_log_is_read_again() -> None:
    kafka, store = shop(), WatchedStore()
    delete(kafka, 10)
    await Core(kafka, store).read_all()
    assert store.known == {"u2"}
    part = store.partitions[0]
    assert (part.counter("applied"), part.counter("forgotten"), part.counter("deletions")) == (1, 2, 1)
    assert part.offsets == {"view": 3, "deletions": 1}


async def test_the_next_owner_knows_whom_to_keep_out_without_reading_deletions_again() -> None:
    kafka, store = shop(), WatchedStore()
    delete(kafka, 10)
    await Core(kafka, store).read_all()
    kafka.append("view", "u1", encode(make_event("view", 3, user="u1")), NOW_MS + 60_000)
    kafka.append("view", "u1", encode(make_event("view", 60, user="u1")), NOW_MS + 60_000)
    await Core(kafka, store).read_all()
    part = store.partitions[0]
    assert (part.counter("applied"), part.counter("forgotten"), part.counter("deletions")) == (2, 3, 1)
    assert set(part.names("v:")) == {"u1", "u2"}


async def test_a_visitor_is_found_by_the_digest_where_nobody_left_the_id() -> None:
    kafka, store = shop(), WatchedStore()
    await Core(kafka, store).read_all()
    assert set(store.partitions[0].names("v:")) == {"u1", "u2"}
    delete(kafka, 10)
    await Core(kafka, store).read_all()
    part = store.partitions[0]
    assert set(part.names("v:")) == set(part.scores("due")) == {"u2"}


async def test_the_id_that_was_left_beside_the_state_is_taken_away() -> None:
    kafka, store = shop(), WatchedStore()
    await Core(kafka, store).read_all()
    store.partitions[0].values["forgetting"] = Hash({DIGEST: "u1"})
    delete(kafka, 10)
    await Core(kafka, store).read_all()
    assert store.partitions[0].hash("forgetting") == {}
    assert set(store.partitions[0].names("v:")) == {"u2"}


async def test_a_worker_that_runs_forgets_its_own_copy_too() -> None:
    kafka, store = shop(), WatchedStore()
    core = Core(kafka, store)
    await core.read_all()
    delete(kafka, 10)
    kafka.append("view", "u1", encode(make_event("view", 60, user="u1")), NOW_MS + 60_000)
    await core.scheduler.offer("deletions", 0, kafka.records["deletions"], 0, 1)
    await core.scheduler.offer("view", 0, kafka.records["view"][3:], 3, 4)
    await core.scheduler.drain()
    assert store.partitions[0].counter("applied") == 4
    assert unpack_visitor(store.partitions[0].values["v:u1"]).totals.first_ms == NOW_MS + 60_000
