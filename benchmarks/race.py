"""Measuring one contender: events visible in Redis against wall clock and CPU of its process."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import psutil
from redis import Redis

from benchmarks.heartbeats import measure_scored
from benchmarks.services import Services, drop_state, empty_followed_topics, with_fresh_state
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.child import Child
from ops.stack.record import settings_environment

POLL_S = 0.02
START_TIMEOUT_S = 90.0
STALL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Lap:
    """One run of a contender, from the first events seen done to the last."""

    events: int
    wall_s: float
    cpu_s: float
    redis_cpu_s: float
    kafka_cpu_s: float
    rss_bytes: int
    scored: float = math.nan
    """Share of the visitors that were scored; NaN where nothing is to be scored."""

    @property
    def events_per_s(self) -> float:
        """Events done per second of wall clock."""
        return self.events / self.wall_s

    @property
    def cpu_us(self) -> float:
        """CPU of the contender's processes per event, in microseconds."""
        return self.cpu_s / self.events * 1e6

    @property
    def redis_cpu_us(self) -> float:
        """CPU of Redis per event, in microseconds."""
        return self.redis_cpu_s / self.events * 1e6


@dataclass(frozen=True, slots=True)
class _Reading:
    events: int
    wall_s: float
    cpu_s: float
    redis_cpu_s: float
    kafka_cpu_s: float


def start_contender(
    services: Services, settings: Settings, module: str, *, number: int = 1, env: dict[str, str] | None = None
) -> Child:
    """Start `python -m benchmarks.contenders.<module>` with the settings in its environment."""
    log_path = services.folder / f"{module}-{settings.namespace}-{number}.log"
    argv = [sys.executable, "-m", f"benchmarks.contenders.{module}"]
    child = Child(module, argv, log_path, env=settings_environment(settings) | (env or {}))
    child.start()
    return child


def applied_counter(client: Redis, settings: Settings) -> Callable[[], int]:
    """A function that says how many events of all partitions are in Redis; -1 before the start.

    Ours starts with the claim of its partitions (`epoch`), the others with an `applied` of 0 when they have
    their partitions or the first event.
    """
    keys = Keys(settings.namespace, settings.partitions)
    names = [keys.meta(p) for p in range(settings.partitions)]

    def applied() -> int:
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.hmget(name, "epoch", "applied")
        values = [value for pair in pipe.execute() for value in pair]
        if not any(value is not None for value in values):
            return -1
        return sum(int(value or 0) for value in values[1::2])

    return applied


def run_lap(
    services: Services,
    shop: Settings,
    module: str,
    *,
    events: int,
    require: Callable[[Settings], None] | None = None,
) -> Lap:
    """Let a fresh process of a contender read `events` from the log of `shop`, and measure.

    The clock runs from the moment it has its partitions, so start-up and the joining of the group are not
    in it, but its first fetch is. `require` gets the contender's settings at the end and raises if it did not
    do all that was measured. Raises `RuntimeError` with the end of its log if the contender ends, stops
    making progress, or was to score visitors (`shop.scoring`) and scored none.
    """
    settings = with_fresh_state(shop)
    empty_followed_topics(settings)
    child = start_contender(services, settings, module)
    try:
        lap = measure_lap(services, settings, [child], events)
        if require is not None:
            require(settings)
        if not shop.scoring:
            return lap
        return replace(lap, scored=measure_scored(services.client, settings, child).share)
    finally:
        child.kill()
        drop_state(services, settings)


def measure_lap(services: Services, settings: Settings, children: Sequence[Child], events: int) -> Lap:
    """Measure running contenders from now, or from their start, until `events` are in Redis."""
    applied = applied_counter(services.client, settings)

    def read(done: int) -> _Reading:
        spent_s = sum(cpu_s(child.pid) for child in children)
        return _Reading(done, time.monotonic(), spent_s, cpu_s(services.redis_pid), cpu_s(services.kafka_pid))

    first = read(await_progress(applied, children, -1, START_TIMEOUT_S))
    last = first
    while last.events < events:
        last = read(await_progress(applied, children, last.events, STALL_TIMEOUT_S))
    return Lap(
        last.events - first.events,
        last.wall_s - first.wall_s,
        last.cpu_s - first.cpu_s,
        last.redis_cpu_s - first.redis_cpu_s,
        last.kafka_cpu_s - first.kafka_cpu_s,
        sum(psutil.Process(child.pid).memory_info().rss for child in children),
    )


def await_progress(applied: Callable[[], int], children: Sequence[Child], seen: int, timeout_s: float) -> int:
    """Wait for more than `seen` events and give their number; raises `RuntimeError` if none come."""
    deadline = time.monotonic() + timeout_s
    while True:
        done = applied()
        if done > seen:
            return done
        for child in children:
            if not child.alive:
                raise RuntimeError(f"{child.name} ended with {child.exit_code}; {child.log_tail()}")
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{children[0].name}: no progress in {timeout_s:g} s; {children[0].log_tail()}"
            )
        time.sleep(POLL_S)


def await_applied(applied: Callable[[], int], events: int, child: Child) -> None:
    """Wait until so many events are in Redis; raises `RuntimeError` if they do not come."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while applied() < events:
        if not child.alive or time.monotonic() > deadline:
            raise RuntimeError(f"{child.name} did not apply {events} events; {child.log_tail()}")
        time.sleep(0.1)


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
