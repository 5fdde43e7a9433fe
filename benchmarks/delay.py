"""Delay from broker timestamp to visible in Redis, under a paced stream of live events."""

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from redis import Redis

from benchmarks.heartbeats import Scored, await_model, measure_scored, read_heartbeats
from benchmarks.pace import SETTLE_S, quantile, send_paced
from benchmarks.race import START_TIMEOUT_S, cpu_s, start_contender
from benchmarks.services import Services, drop_state
from benchmarks.throughput import Contender
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from ops.stack.child import Child

PROBE_S = 0.005
Delay = tuple[int, int]
"""Broker timestamp of a record, and how long it took from there into Redis, in ms."""
PEER_COMMIT_S = 0.05
"""How often an engine that writes by the clock does so here; its throughput is measured with a second."""


@dataclass(frozen=True, slots=True)
class DelayRow:
    """Delays of one contender in milliseconds. The worker's own figures are NaN where it reports none."""

    title: str
    sent_per_s: float
    events: int
    p50_ms: float
    p99_ms: float
    own_p50_ms: float
    own_p99_ms: float
    cpu_us: float
    """CPU of the contender per event at this pace; small batches cost more than a backlog."""
    redis_cpu_us: float
    scored: Scored | None
    """None where nothing is to be scored."""


@dataclass(slots=True)
class Acks:
    """Broker timestamps of stored records, per topic partition, by offset."""

    stamps: defaultdict[tuple[str, int], dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    failed: int = 0

    def take(self, error: Any, message: Any) -> None:
        """librdkafka's delivery report."""
        if error is not None:
            self.failed += 1
            return
        self.stamps[message.topic(), message.partition()][message.offset()] = message.timestamp()[1]


class OffsetProbe(threading.Thread):
    """Reads every partition's stored offsets every 5 ms and keeps when each was first seen."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="offset-probe", daemon=True)
        self._settings = settings
        self._ended = threading.Event()
        self.seen: defaultdict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        """Topic partition to (next offset, wall clock ms) in growing order."""

    def run(self) -> None:
        """Poll until `end`; a reading is dated by its answer, so it never makes a delay look shorter."""
        keys = Keys(self._settings.namespace, self._settings.partitions)
        topics = Topics(self._settings.topic_prefix).events
        fields = [f"off:{topic}" for topic in topics]
        with Redis.from_url(self._settings.redis_url) as client:
            while not self._ended.wait(PROBE_S):
                pipe = client.pipeline(transaction=False)
                for p in range(self._settings.partitions):
                    pipe.hmget(keys.meta(p), *fields)
                rows = pipe.execute()
                now_ms = wall_clock_ms()
                for p, row in enumerate(rows):
                    for topic, value in zip(topics, row, strict=True):
                        self._note((topic, p), int(value or 0), now_ms)

    def _note(self, place: tuple[str, int], offset: int, now_ms: int) -> None:
        known = self.seen[place]
        if offset > (known[-1][0] if known else 0):
            known.append((offset, now_ms))

    def end(self) -> None:
        """Stop polling; may be called before `start`."""
        self._ended.set()
        if self.ident is not None:
            self.join()

    def seen_ms(self, place: tuple[str, int], offset: int) -> int | None:
        """When the record at `offset` was first seen to be in Redis; None if it never was."""
        known = self.seen[place]
        index = bisect_right(known, offset, key=lambda item: item[0])
        return known[index][1] if index < len(known) else None


def measure_delay(
    services: Services,
    settings: Settings,
    contender: Contender,
    *,
    rate: int,
    seconds: float,
    progress: Callable[[int], None],
    settle_s: float = SETTLE_S,
    env: Mapping[str, str] = MappingProxyType({}),
    at_end: Callable[[Sequence[Delay]], None] | None = None,
) -> DelayRow:
    """Send `rate` events/s for `seconds` to one running contender and date every event's way into Redis.

    The first `settle_s` do not count. `at_end` gets every delay while the contender still runs.
    Raises `RuntimeError` if a record was not stored or never became visible, or if visitors were to be scored
    (`settings.scoring`) and none was.
    """
    environment = {"BENCH_COMMIT_S": str(PEER_COMMIT_S), **env}
    child = start_contender(services, settings, contender.module, env=environment)
    probe = OffsetProbe(settings)
    acks = Acks()
    scored = None
    try:
        if settings.scoring:
            await_model(services.client, settings, child)
        _warm_up(settings, child, acks, probe)
        cpu_before_s, redis_before_s = cpu_s(child.pid), cpu_s(services.redis_pid)
        started_s = time.monotonic()
        measured_from_ms = wall_clock_ms() + int(settle_s * 1_000)
        sent = send_paced(
            settings, lambda _: acks.take, rate=rate, seconds=seconds + settle_s, progress=progress
        )
        sent_per_s = sent / (time.monotonic() - started_s)
        own_p50_ms, own_p99_ms = _own_figures(services.client, settings)
        _await_visible(acks, probe, child)
        cpu_us = (cpu_s(child.pid) - cpu_before_s) / sent * 1e6
        redis_cpu_us = (cpu_s(services.redis_pid) - redis_before_s) / sent * 1e6
        if settings.scoring:
            scored = measure_scored(services.client, settings, child)
        if at_end is not None:
            at_end(_delays(acks, probe, measured_from_ms))
    finally:
        probe.end()
        child.kill()
    drop_state(services, settings)
    delays_ms = sorted(delay_ms for _, delay_ms in _delays(acks, probe, measured_from_ms))
    return DelayRow(
        contender.title, sent_per_s, len(delays_ms), quantile(delays_ms, 0.5), quantile(delays_ms, 0.99),
        own_p50_ms, own_p99_ms, cpu_us, redis_cpu_us, scored,
    )  # fmt: skip


def _own_figures(client: Redis, settings: Settings) -> tuple[float, float]:
    beats = read_heartbeats(client, settings)
    if not beats:
        return float("nan"), float("nan")
    return beats[0].delay_p50_ms, beats[0].delay_p99_ms


def _warm_up(settings: Settings, child: Child, acks: Acks, probe: OffsetProbe) -> None:
    """A few events into every partition, so that the group stands before the clock runs."""
    probe.start()
    send_paced(settings, lambda _: acks.take, rate=500, seconds=1.0, progress=lambda _: None, seed=11)
    _await_visible(acks, probe, child)


def _await_visible(acks: Acks, probe: OffsetProbe, child: Child) -> None:
    if acks.failed:
        raise RuntimeError(f"{acks.failed} records were not stored")
    deadline = time.monotonic() + START_TIMEOUT_S
    while any(probe.seen_ms(place, max(stamps)) is None for place, stamps in list(acks.stamps.items())):
        if not child.alive or time.monotonic() > deadline:
            raise RuntimeError(f"{child.name} did not apply everything; {child.log_tail()}")
        time.sleep(0.05)


def _delays(acks: Acks, probe: OffsetProbe, from_ms: int) -> list[Delay]:
    delays = []
    for place, stamps in acks.stamps.items():
        for offset, stamp_ms in stamps.items():
            seen_ms = probe.seen_ms(place, offset)
            if stamp_ms >= from_ms and seen_ms is not None:
                delays.append((stamp_ms, seen_ms - stamp_ms))
    return delays
