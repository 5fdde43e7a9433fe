"""What a job of derived work is, and the registry of those a worker runs."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis

from contracts.keys import Keys
from contracts.settings import Settings
from contracts.subjects import Subject, SubjectKind
from contracts.topics import is_output_topic

if TYPE_CHECKING:  # the process that runs jobs needs nothing of the stream
    from stream.batch.result import BatchResult

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class InvalidJob(ValueError):
    """A job that cannot be registered."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job works with, in its own process.

    The snapshot is of `made_ms` (epoch ms), just before the job began: what is committed later makes it
    stale.
    """

    redis: Redis
    keys: Keys
    settings: Settings
    made_ms: int


@dataclass(frozen=True, slots=True)
class DerivedJob:
    """One kind of derived value.

    `run(context, subject)` reads what it needs from Redis and gives the value, made of plain values that
    MessagePack (and JSON, where there is a topic) can hold; None: there is none, and the snapshot is
    removed. It is called in a process of its own, one call at a time, so it may block and compute. It must
    be a function of a module. With `run` None the worker only fills the queues: another process takes from
    them what is due, and publishes.

    `stale(result)` names the subjects (ids of `kind`) whose value a batch has made stale. It is called on
    the worker's event loop when the batch is in Redis: it must be quick and read nothing.
    """

    name: str
    kind: SubjectKind
    run: Callable[[JobContext, Subject], Any] | None
    stale: Callable[["BatchResult"], Iterable[str]]
    ttl_s: int
    """Lifetime of a snapshot that is not made again."""
    version: int = 1
    """Of the value: readers tell from it what they read."""
    topic: str = ""
    """A topic (`contracts.topics.register_output_topic`) that gets every snapshot too, by its plain name."""
    interval_s: float = 1.0
    """A trigger waits so long for more of its kind: two runs of a subject begin at least this far apart."""
    refresh_s: float = 0.0
    """A snapshot is made again after so long without a trigger; 0: never."""
    limit_s: float = 10.0
    """A run that takes longer is killed, and tried again later."""
    max_queued: int = 10_000
    """Subjects in the queue of one partition; when it is full, those due last are dropped and counted."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidJob(f"a job's name must match {_NAME.pattern}, got {self.name!r}")
        path = "" if self.run is None else self.function
        if "<" in path or path.startswith("__main__:"):
            raise InvalidJob(f"job {self.name}: run must be a function of an importable module, got {path}")
        for field in ("ttl_s", "version", "interval_s", "limit_s", "max_queued"):
            if getattr(self, field) <= 0:
                raise InvalidJob(f"job {self.name}: {field} must be above 0, got {getattr(self, field)!r}")
        if self.refresh_s and self.refresh_s < self.interval_s:
            raise InvalidJob(
                f"job {self.name}: refresh_s must be 0 or at least interval_s, got {self.refresh_s!r}"
            )

    @property
    def function(self) -> str:
        """`module:name` of `run`, by which the other process finds it; raises `InvalidJob` without one."""
        if self.run is None:
            raise InvalidJob(f"job {self.name}: nothing is run for it here")
        return f"{self.run.__module__}:{self.run.__qualname__}"

    @property
    def interval_ms(self) -> int:
        """`interval_s` in ms."""
        return int(self.interval_s * 1_000)

    @property
    def refresh_ms(self) -> int:
        """`refresh_s` in ms."""
        return int(self.refresh_s * 1_000)


class JobRegistry:
    """The jobs of a worker, in the order they were registered."""

    def __init__(self) -> None:
        self._jobs: dict[str, DerivedJob] = {}

    def add(self, job: DerivedJob) -> None:
        """Add a job; raises `InvalidJob` for a name or topic that is taken, or a topic nobody knows."""
        if job.name in self._jobs:
            raise InvalidJob(f"there are two jobs with the name {job.name!r}")
        if job.topic:
            taken = [other.name for other in self if other.topic == job.topic]
            if taken:
                raise InvalidJob(f"job {job.name}: the topic {job.topic!r} is that of {taken[0]}")
            if not is_output_topic(job.topic):
                raise InvalidJob(f"job {job.name}: the topic {job.topic!r} is not registered")
        self._jobs[job.name] = job

    def __getitem__(self, name: str) -> DerivedJob:
        return self._jobs[name]

    def __iter__(self) -> Iterator[DerivedJob]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)
