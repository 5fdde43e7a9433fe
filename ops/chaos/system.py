"""The system under test: broker, durable Redis and workers of one installation, as the faults need it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from connections.redis import open_redis
from contracts.heartbeat import Heartbeat, from_hash
from contracts.keys import Keys
from contracts.settings import Settings
from ops.chaos.worker_supervisor import WorkerSupervisor
from ops.stack.broker import KafkaBroker
from ops.stack.child import Child
from ops.stack.record import settings_environment
from ops.stack.redis_server import RedisServer
from ops.stack.topics import ensure_topics
from sources.archive import find_manifest, open_store

POLL_S = 0.02
SETTINGS: dict[str, Any] = {
    "partitions": 6,
    # The audit scores visitors again with the model alone.
    "learning": False,
    # However busy the machine is, nobody is left out: it compares what came of every score. A campaign may be
    # given a budget.
    "scoring_budget_ms": 0,
    "session_timeout_s": 6.0,
    "idle_ms": 2_000,
    "disorder_ms": 2_000,
    "cart_idle_ms": 1_500,
    "look_again_ms": 1_000,
    # Made-up shoppers buy often: at the usual thresholds hardly one of them is about to leave.
    "churn_fire": 0.4,
    "alert_budgets": "",  # what they withhold depends on how the log is divided into batches
    "alerts_per_visitor": 1_000,
    "alert_watch_ms": 2_500,
    "churn_rearm": 0.45,
    "churn_intent": 0.45,
    "churn_needs_cart": False,
    "alert_cooldown_ms": 3_000,
    "alert_ttl_ms": 3_000,
    "cart_recovery_ms": 2_500,
    "alerts_kept": 10_000_000,
    # Nothing may expire before it is compared.
    "minute_ttl_s": 400 * 86_400,
    "product_minute_ttl_s": 400 * 86_400,
    "hour_ttl_s": 400 * 86_400,
    "day_ttl_s": 400 * 86_400,
}
"""Settings of a system under test: sessions are short, so that many of them start and end in a minute, and so
are alerts: all that is open must have ended before it is compared. The disorder is more than that of the
traffic while the broker is there: of events that come too late for a decision no replay can tell what it was.
"""


class NotRecovered(RuntimeError):
    """Something awaited after a fault did not come in time; says what."""


@dataclass
class SystemUnderTest:
    """What the faults work on. `broker` is None where it is not ours to be killed."""

    settings: Settings
    redis: RedisServer
    supervisor: WorkerSupervisor
    folder: Path
    broker: KafkaBroker | None = None
    counters_exact: bool = True
    """False once records were deliberately counted again, as after the loss of the stored offsets."""
    earlier_workers: bool = False
    """True where workers of an earlier version take part."""
    data_lost: bool = False
    """True once Redis lost what it had answered: alerts may have been published that it knows nothing of."""
    archive: Child | None = None
    publisher: Child | None = None
    client: Redis = field(init=False)
    keys: Keys = field(init=False)

    def __post_init__(self) -> None:
        self.client = open_redis(self.settings, timeout_s=10.0)
        self.keys = Keys(self.settings.namespace, self.settings.partitions)

    def metas(self) -> list[dict[str, int]]:
        """The whole numbers in the meta hash of every partition; empty where there is nothing."""
        pipe = self.client.pipeline(transaction=False)
        for p in range(self.keys.partitions):
            pipe.hgetall(self.keys.meta(p))
        return [
            {name.decode(): int(value) for name, value in meta.items() if value.isdigit()}
            for meta in pipe.execute()
        ]

    def counter(self, name: str) -> int:
        """Sum of a counter over the partitions."""
        return sum(meta.get(name, 0) for meta in self.metas())

    def outbox_sizes(self) -> dict[int, int]:
        """Partitions with something not published yet, and how much."""
        sizes = {p: int(self.client.xlen(self.keys.outbox(p))) for p in range(self.keys.partitions)}
        return {p: size for p, size in sizes.items() if size}

    def heartbeats(self) -> list[Heartbeat]:
        """What each worker last said of itself, but those that left or were silent for long."""
        found = []
        worker_ids: list[Any] = self.client.zrange(self.keys.workers(), 0, -1)
        for worker_id in worker_ids:
            fields: dict[Any, Any] = self.client.hgetall(self.keys.worker(worker_id.decode()))
            if fields:
                found.append(from_hash({name.decode(): value.decode() for name, value in fields.items()}))
        return found

    def owners(self) -> dict[int, tuple[int, ...]]:
        """Pid of each worker with a heartbeat to the partitions it says it owns."""
        return {beat.pid: beat.partitions for beat in self.heartbeats()}

    def owns_something(self, worker: Child) -> bool:
        """Whether this worker owns partitions by its own account."""
        return bool(self.owners().get(worker.pid))

    def archive_generation(self) -> int:
        """How many times the archive was written; 0 before the first one."""
        manifest = find_manifest(open_store(self.settings.archive))
        return 0 if manifest is None else manifest.generation

    def finish_archive(self, timeout_s: float = 120.0) -> None:
        """Have the archive catch up with the topics and end; raises `NotRecovered`."""
        if self.archive is not None:
            self.archive.stop(timeout_s)
            self.archive.argv.append("--once")
            self.archive.start()
            self.await_that(lambda: not self._archive_runs(), timeout_s, "the archive to catch up")

    def _archive_runs(self) -> bool:
        return self.archive is not None and self.archive.alive

    def await_commits(self, after_ms: int, timeout_s: float = 60.0) -> None:
        """Wait until every partition has a commit that was begun after this moment (wall clock, ms)."""
        self.await_that(
            lambda: all(meta.get("updated_ms", 0) > after_ms for meta in self.metas()),
            timeout_s,
            "a new commit in every partition",
        )

    def await_that(self, holds: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Poll until `holds`; an absent Redis counts as no. Raises `NotRecovered`."""
        deadline = time.monotonic() + timeout_s
        while not _is_so(holds):
            if time.monotonic() > deadline:
                raise NotRecovered(f"waited {timeout_s:.0f} s for {what}; {self.describe()}")
            time.sleep(POLL_S)

    def describe(self) -> str:
        """Meta hashes, workers and their last exits, for messages."""
        try:
            metas: object = self.metas()
        except RedisError as exc:
            metas = exc
        states = {worker.name: worker.exit_code for worker in self.supervisor.workers}
        return f"metas {metas}, workers {states}, exits {self.supervisor.exits[-5:]}"


def _is_so(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except RedisError:
        return False


@contextmanager
def open_system(
    settings: Settings, folder: Path, *, workers: int, broker: KafkaBroker | None = None
) -> Iterator[SystemUnderTest]:
    """A system with a Redis and workers of its own on the Kafka of the settings; everything ends with it."""
    redis = RedisServer(folder / "redis")
    redis.start()
    settings = settings.model_copy(update={"redis_url": redis.url})
    settings = settings.model_copy(update={"partitions": ensure_topics(settings)})
    supervisor = WorkerSupervisor(settings, folder / "logs")
    system = SystemUnderTest(settings, redis, supervisor, folder, broker)
    if settings.archive:
        argv = [sys.executable, "-P", "-m", "ops.cli", "archive"]
        log = folder / "logs" / "archive.log"
        system.archive = Child("archive", argv, log, env=settings_environment(settings))
    if settings.recommendation_interval_s:
        argv = [sys.executable, "-P", "-m", "ops.cli", "publish"]
        log = folder / "logs" / "publish.log"
        system.publisher = Child("publish", argv, log, env=settings_environment(settings))
    beside = [child for child in (system.archive, system.publisher) if child is not None]
    try:
        for child in beside:
            child.start()
        for _ in range(workers):
            supervisor.add()
        yield system
    finally:
        supervisor.close()
        for child in beside:
            if child.alive:
                child.kill()
        system.client.close()
        redis.kill()
