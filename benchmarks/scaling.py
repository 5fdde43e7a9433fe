"""Scaling: one worker against two on the same log, as fast as they go and held to a part of a core each."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks import quota
from benchmarks.heartbeats import read_heartbeats
from benchmarks.race import (
    START_TIMEOUT_S,
    Lap,
    applied_counter,
    await_progress,
    measure_lap,
    start_contender,
)
from benchmarks.services import Services, create_topics, drop_state, drop_topics, make_settings
from contracts.settings import Settings
from ops.stack.child import Child

Fill = Callable[[Settings], None]
"""Puts the shop's log into the topics of an installation."""

LONG_SESSION_S = 120.0
"""Group session timeout, so that workers may be stopped while the log is written."""


HELD_SHARE = 0.25
"""Of a core. Two such workers, Kafka and Redis have enough with two cores."""


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """Medians over the runs with so many workers; CPU and memory are of all of them together."""

    workers: int
    share: float | None
    """What each worker may take of a core; None: all it can get."""
    events_per_s: float
    cpu_us: float
    redis_cpu_us: float
    rss_mb: float


def measure_scaling(
    services: Services, fill: Fill, *, events: int, runs: int, note: Callable[[str], None]
) -> list[ScalingRow]:
    """One and two workers in turns, each time on topics of their own, free and where possible held back."""
    shares = (None, HELD_SHARE) if quota.is_possible() else (None,)
    laps: dict[tuple[int, float | None], list[Lap]] = {(n, share): [] for share in shares for n in (1, 2)}
    for run in range(1, runs + 1):
        for (workers, share), done in laps.items():
            lap = _run_lap(services, fill, events=events, workers=workers, share=share)
            done.append(lap)
            held = f", {share:.0%} of a core each" if share else ""
            note(f"run {run}/{runs}, {workers} worker(s){held}: {lap.events_per_s:,.0f} events/s")
    return [_row(workers, share, done) for (workers, share), done in laps.items()]


def _run_lap(services: Services, fill: Fill, *, events: int, workers: int, share: float | None) -> Lap:
    """Let the group settle on empty topics, stop the workers, write the log, and let them go.

    So the joining of the group is not in the figures, nor is the writing of the log. The clock starts with
    the first commit, since clients that were stopped first find that their requests are too old.
    """
    settings = make_settings(services, session_timeout_s=LONG_SESSION_S)
    create_topics(settings)
    children = [
        start_contender(services, settings, "storepulse_worker", number=number)
        for number in range(1, workers + 1)
    ]
    held = ExitStack()
    try:
        _await_shares(services, settings, children)
        for child in children:
            child.suspend()
            if share is not None:
                held.enter_context(quota.held_to(share, child.pid))
        fill(settings)
        for child in children:
            child.resume()
        await_progress(applied_counter(services.client, settings), children, 0, START_TIMEOUT_S)
        return measure_lap(services, settings, children, events)
    finally:
        for child in children:
            child.kill()
        held.close()
        drop_state(services, settings)
        drop_topics(settings)


def _await_shares(services: Services, settings: Settings, children: Sequence[Child]) -> None:
    """Wait until the workers' heartbeats share out every partition."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        shares = [beat.partitions for beat in read_heartbeats(services.client, settings)]
        held = sorted(p for share in shares for p in share)
        if held == list(range(settings.partitions)) and sum(map(bool, shares)) == len(children):
            return
        for child in children:
            if not child.alive or time.monotonic() > deadline:
                raise RuntimeError(f"the group did not settle; {child.log_tail()}")
        time.sleep(0.2)


def _row(workers: int, share: float | None, laps: Sequence[Lap]) -> ScalingRow:
    return ScalingRow(
        workers,
        share,
        median(lap.events_per_s for lap in laps),
        median(lap.cpu_us for lap in laps),
        median(lap.redis_cpu_us for lap in laps),
        median(lap.rss_bytes for lap in laps) / 1e6,
    )
