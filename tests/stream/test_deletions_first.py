"""A worker's core in memory: deletions are read with the claim and applied before any event."""

from collections.abc import Sequence

from contracts.deletions import Deletion, digest_user, encode_deletion, secret_id_of
from contracts.events import encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.visitor import unpack_visitor
from memory_worker import MemoryLog, MemoryWorker
from shoppers import NOW_MS, make_event
from stream.registry import make_registry
from stream.state.commit import Commit, CommitStatus
from stream.state.memory_partition import Hash
from stream.state.memory_store import MemoryStore

SETTINGS = Settings(partitions=1, scoring=False, deletion_secret="s")  # noqa: S106
DIGEST = digest_user("u1", "s")


class WatchedStore(MemoryStore):
    """A store that remembers every visitor it ever had a state of."""

    def __init__(self) -> None:
        super().__init__(Keys(SETTINGS.namespace, 1))
        self.known: set[str] = set()

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        statuses = await super().commit(commits)
        self.known.update(self.partitions[0].names("v:"))
        return statuses


def start_worker(kafka: MemoryLog, store: WatchedStore) -> MemoryWorker:
    """The next owner of the partition."""
    return MemoryWorker(SETTINGS, make_registry(SETTINGS), kafka, store)


def shop() -> MemoryLog:
    kafka = MemoryLog(1)
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
    await start_worker(kafka, store).read()
    assert store.known == {"u2"}
    part = store.partitions[0]
    assert (part.counter("applied"), part.counter("forgotten"), part.counter("deletions")) == (1, 2, 1)
    assert part.offsets == {"view": 3, "deletions": 1}


async def test_the_next_owner_knows_whom_to_keep_out_without_reading_deletions_again() -> None:
    kafka, store = shop(), WatchedStore()
    delete(kafka, 10)
    await start_worker(kafka, store).read()
    kafka.append("view", "u1", encode(make_event("view", 3, user="u1")), NOW_MS + 60_000)
    kafka.append("view", "u1", encode(make_event("view", 60, user="u1")), NOW_MS + 60_000)
    await start_worker(kafka, store).read()
    part = store.partitions[0]
    assert (part.counter("applied"), part.counter("forgotten"), part.counter("deletions")) == (2, 3, 1)
    assert set(part.names("v:")) == {"u1", "u2"}


async def test_a_visitor_is_found_by_the_digest_where_nobody_left_the_id() -> None:
    kafka, store = shop(), WatchedStore()
    await start_worker(kafka, store).read()
    assert set(store.partitions[0].names("v:")) == {"u1", "u2"}
    delete(kafka, 10)
    await start_worker(kafka, store).read()
    part = store.partitions[0]
    assert set(part.names("v:")) == set(part.scores("due")) == {"u2"}


async def test_the_id_that_was_left_beside_the_state_is_taken_away() -> None:
    kafka, store = shop(), WatchedStore()
    await start_worker(kafka, store).read()
    store.partitions[0].values["forgetting"] = Hash({DIGEST: "u1"})
    delete(kafka, 10)
    await start_worker(kafka, store).read()
    assert store.partitions[0].hash("forgetting") == {}
    assert set(store.partitions[0].names("v:")) == {"u2"}


async def test_a_worker_that_runs_forgets_its_own_copy_too() -> None:
    kafka, store = shop(), WatchedStore()
    worker = start_worker(kafka, store)
    await worker.read()
    delete(kafka, 10)
    kafka.append("view", "u1", encode(make_event("view", 60, user="u1")), NOW_MS + 60_000)
    await worker.read()
    assert store.partitions[0].counter("applied") == 4
    assert unpack_visitor(store.partitions[0].values["v:u1"]).totals.first_ms == NOW_MS + 60_000
