"""Memory of worker and Redis: per 100,000 active visitors, and bounded while ever-new visitors arrive."""

from collections.abc import Callable
from dataclasses import dataclass

import psutil

from benchmarks.heartbeats import measure_scored
from benchmarks.race import applied_counter, await_applied, start_contender
from benchmarks.services import Services, create_topics, drop_state, drop_topics, make_settings
from benchmarks.shop_log import make_events, preload
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from ops.stack.child import Child

WAVE_EVENTS = 30_000
SHORT_TTL_S = 5
SMALL_CACHE = 2_000


@dataclass(frozen=True, slots=True)
class Wave:
    """Memory in MB after one more wave of visitors, `visitors` in all so far."""

    visitors: int
    worker_mb: float
    redis_mb: float


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One setting of lifetimes: its waves, and what each visitor adds in the second half of them."""

    title: str
    waves: tuple[Wave, ...]

    @property
    def worker_bytes(self) -> float:
        """Growth of the worker per visitor."""
        return self._growth([wave.worker_mb for wave in self.waves])

    @property
    def redis_bytes(self) -> float:
        """Growth of Redis per visitor."""
        return self._growth([wave.redis_mb for wave in self.waves])

    def _growth(self, series_mb: list[float]) -> float:
        middle = len(self.waves) // 2  # the first half fills caches and lifetimes
        visitors = self.waves[-1].visitors - self.waves[middle - 1].visitors
        return (series_mb[-1] - series_mb[middle - 1]) * 1e6 / visitors


def measure_kept(
    services: Services, *, visitors: int, events_per_visitor: int, scoring: bool, note: Callable[[str], None]
) -> MemoryRow:
    """Visitors who stay active: default lifetimes, and a cache that holds them all."""
    settings = make_settings(services, scoring=scoring, cache_visitors=2 * visitors)
    title = f"kept: {events_per_visitor} events each, all cached"
    waves = max(2, visitors // (WAVE_EVENTS // events_per_visitor))
    return _measure(services, settings, title, waves, events_per_visitor, note)


def measure_passing(
    services: Services, *, visitors: int, scoring: bool, note: Callable[[str], None]
) -> MemoryRow:
    """Ever-new visitors of one event each: short lifetime, small cache, so memory must stop growing."""
    settings = make_settings(
        services,
        scoring=scoring,
        visitor_ttl_s=SHORT_TTL_S,
        cache_visitors=SMALL_CACHE,
        idle_ms=1_000 * SHORT_TTL_S,
        disorder_ms=1_000,
    )
    title = f"passing: state lives {SHORT_TTL_S} s, cache of {SMALL_CACHE:,}"
    return _measure(services, settings, title, max(2, visitors // WAVE_EVENTS), 1, note)


def _measure(
    services: Services,
    settings: Settings,
    title: str,
    waves: int,
    events_per_visitor: int,
    note: Callable[[str], None],
) -> MemoryRow:
    create_topics(settings)
    child = start_contender(services, settings, "storepulse_worker")
    applied = applied_counter(services.client, settings)
    found: list[Wave] = []
    per_wave = WAVE_EVENTS // events_per_visitor
    try:
        for wave in range(1, waves + 1):
            # Each wave has a seed and with it visitors of its own.
            new = None if events_per_visitor == 1 else per_wave
            first_ms = wall_clock_ms() - 1_000
            events = make_events(WAVE_EVENTS, first_ms=first_ms, step_ms=1 / 30, seed=wave, visitors=new)
            preload(settings, events, progress=lambda _: None)
            await_applied(applied, wave * WAVE_EVENTS, child)
            found.append(_read(services, child, visitors=wave * per_wave))
            note(f"{title}: {found[-1].visitors:,} visitors, worker {found[-1].worker_mb:.0f} MB, "
                 f"Redis {found[-1].redis_mb:.0f} MB")  # fmt: skip
        if settings.scoring:
            measure_scored(services.client, settings, child)
    finally:
        child.kill()
        drop_state(services, settings)
        drop_topics(settings)
    return MemoryRow(title, tuple(found))


def _read(services: Services, child: Child, *, visitors: int) -> Wave:
    rss_bytes = psutil.Process(child.pid).memory_info().rss
    used_bytes = int(services.client.info("memory")["used_memory"])
    return Wave(visitors, rss_bytes / 1e6, used_bytes / 1e6)
