"""What work beside the stream costs the stream: the delay of commits without a job, and beside busy ones."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from urllib.request import urlopen

from benchmarks.aims import Aim
from benchmarks.delay import DelayRow, measure_delay
from benchmarks.heartbeats import read_heartbeats
from benchmarks.job_load.stream import NAME
from benchmarks.pace import SETTLE_S
from benchmarks.services import Services, create_topics, drop_topics, make_settings
from benchmarks.throughput import CONTENDERS
from contracts.settings import Settings

WARM_SETTLE_S = 8.0
"""Seconds that do not count once the broker is warm."""
DELAY_AIM = 1.25
"""Delay beside a job that takes 100 ms, relative to that without any."""
_WORKER = next(contender for contender in CONTENDERS if contender.key == "c")
_RUNS = re.compile(rf'storepulse_worker_job_runs_total{{job="{NAME}",result="published"}} ([0-9.e+]+)')
VARIANTS = {
    "none": "no job",
    "idle": "a job that nothing makes stale",
    "sleep": "a job that sleeps 100 ms, always due",
    "compute": "a job that computes for 100 ms, always due",
    "thread": "for comparison: the same in a thread of the worker",
}


@dataclass(frozen=True, slots=True)
class JobsRow:
    """Medians over the runs of one variant."""

    key: str
    title: str
    events: int
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU of the worker per event; that of the process that runs jobs is not in it."""
    runs_per_s: float
    """Snapshots published per second."""


def measure_jobs(
    services: Services, *, runs: int, rate: int, seconds: int, note: Callable[[str], None]
) -> list[JobsRow]:
    """All variants in turns, `runs` times, so that a slow minute of the machine hits all of them."""
    found: dict[str, list[tuple[DelayRow, float]]] = {key: [] for key in VARIANTS}
    settle_s = SETTLE_S
    for run in range(1, runs + 1):
        for key, title in VARIANTS.items():
            row, per_s = _measure(services, key, rate, seconds, settle_s)
            found[key].append((row, per_s))
            settle_s = WARM_SETTLE_S
            note(f"run {run}, {title}: p50 {row.p50_ms:.0f}, p99 {row.p99_ms:.0f} ms, {per_s:.1f} jobs/s")
    return [_row(key, rows) for key, rows in found.items()]


def judge_jobs(rows: list[JobsRow]) -> list[Aim]:
    """Delays relative to those without a job; of the thread they are only shown."""
    base = rows[0]
    aims = []
    for row in rows[1:]:
        aim = None if row.key == "thread" else DELAY_AIM
        aims.append(Aim(f"p50, {row.title}", row.p50_ms / base.p50_ms, aim, at_most=True))
        aims.append(Aim(f"p99, {row.title}", row.p99_ms / base.p99_ms, aim, at_most=True))
    return aims


def _measure(
    services: Services, key: str, rate: int, seconds: int, settle_s: float
) -> tuple[DelayRow, float]:
    settings = make_settings(services, extensions="" if key == "none" else "benchmarks.job_load")
    create_topics(settings)
    published = [0.0]
    row = measure_delay(
        services, settings, _WORKER, rate=rate, seconds=seconds, settle_s=settle_s,
        env={"BENCH_JOB": key}, progress=lambda _: None,
        at_end=lambda: published.append(_published(services, settings)),
    )  # fmt: skip
    drop_topics(settings)
    return row, published[-1] / (seconds + settle_s)


def _published(services: Services, settings: Settings) -> float:
    """Snapshots the worker says it has published."""
    [beat] = read_heartbeats(services.client, settings)
    with urlopen(f"http://127.0.0.1:{beat.metrics_port}/metrics", timeout=10) as answer:
        found = _RUNS.search(answer.read().decode())
    return float(found[1]) if found else 0.0


def _row(key: str, rows: list[tuple[DelayRow, float]]) -> JobsRow:
    return JobsRow(
        key,
        VARIANTS[key],
        sum(row.events for row, _ in rows),
        median(row.p50_ms for row, _ in rows),
        median(row.p99_ms for row, _ in rows),
        median(row.cpu_us for row, _ in rows),
        median(per_s for _, per_s in rows),
    )
