"""What work beside the stream costs it: the delay of commits while a job is at work, and while it rests.

Both are taken from one run of one worker, window by window: what else goes on on the machine meets both.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.request import urlopen

from benchmarks.aims import Aim
from benchmarks.delay import Delay, DelayRow, measure_delay
from benchmarks.heartbeats import read_heartbeats
from benchmarks.job_load.stream import NAME, WINDOW_MS, is_busy
from benchmarks.pace import SETTLE_S, quantile
from benchmarks.services import Services, create_topics, drop_topics, make_settings
from benchmarks.throughput import CONTENDERS
from contracts.settings import Settings

EDGE_MS = 400
"""Left out at the start of each window: records that wait for a round of the window before."""
WARM_SETTLE_S = 10.0
"""Seconds that do not count once the broker is warm; the process of the jobs starts in them."""
DELAY_AIM = 1.25
"""Delay while a job of 100 ms is at work, relative to that while it rests."""
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
    """Delays of one variant in ms, while its job was at work and while it rested."""

    key: str
    title: str
    events: int
    busy_p50_ms: float
    busy_p99_ms: float
    rest_p50_ms: float
    rest_p99_ms: float
    cpu_us: float
    """CPU of the worker per event; that of the process that runs jobs is not in it."""
    runs_per_s: float
    """Snapshots published per second of work."""


def measure_jobs(
    services: Services, *, runs: int, rate: int, seconds: int, note: Callable[[str], None]
) -> list[JobsRow]:
    """All variants in turns, `runs` times; the delays of all runs of a variant are taken together."""
    delays: dict[str, list[Delay]] = {key: [] for key in VARIANTS}
    rows: dict[str, list[tuple[DelayRow, float]]] = {key: [] for key in VARIANTS}
    settle_s = SETTLE_S
    for run in range(1, runs + 1):
        for key, title in VARIANTS.items():
            rows[key].append(_measure(services, key, rate, seconds, settle_s, delays[key]))
            settle_s = WARM_SETTLE_S
            note(f"run {run}, {title}: p50 {rows[key][-1][0].p50_ms:.0f} ms")
    return [_row(key, rows[key], delays[key]) for key in VARIANTS]


def judge_jobs(rows: Sequence[JobsRow]) -> list[Aim]:
    """Delays at work relative to those at rest; only shown where no job of ours is at work."""
    aims = []
    for row in rows:
        aim = DELAY_AIM if row.key in ("sleep", "compute") else None
        aims.append(Aim(f"p50, {row.title}", row.busy_p50_ms / row.rest_p50_ms, aim, at_most=True))
        aims.append(Aim(f"p99, {row.title}", row.busy_p99_ms / row.rest_p99_ms, aim, at_most=True))
    return aims


def _measure(
    services: Services, key: str, rate: int, seconds: int, settle_s: float, delays: list[Delay]
) -> tuple[DelayRow, float]:
    settings = make_settings(services, extensions="" if key == "none" else "benchmarks.job_load")
    create_topics(settings)
    published = 0.0

    def look(found: Sequence[Delay]) -> None:
        nonlocal published
        delays.extend(found)
        published = _published(services, settings)

    row = measure_delay(
        services, settings, _WORKER, rate=rate, seconds=seconds, settle_s=settle_s,
        env={"BENCH_JOB": key}, progress=lambda _: None, at_end=look,
    )  # fmt: skip
    drop_topics(settings)
    return row, published / (seconds + settle_s) * 2


def _published(services: Services, settings: Settings) -> float:
    """Snapshots the worker says it has published."""
    [beat] = read_heartbeats(services.client, settings)
    with urlopen(f"http://127.0.0.1:{beat.metrics_port}/metrics", timeout=10) as answer:
        found = _RUNS.search(answer.read().decode())
    return float(found[1]) if found else 0.0


def _row(key: str, rows: Sequence[tuple[DelayRow, float]], delays: Sequence[Delay]) -> JobsRow:
    inside = [delay for delay in delays if delay[0] % WINDOW_MS >= EDGE_MS]
    busy = sorted(delay_ms for stamp_ms, delay_ms in inside if is_busy(stamp_ms))
    rest = sorted(delay_ms for stamp_ms, delay_ms in inside if not is_busy(stamp_ms))
    return JobsRow(
        key,
        VARIANTS[key],
        len(inside),
        quantile(busy, 0.5),
        quantile(busy, 0.99),
        quantile(rest, 0.5),
        quantile(rest, 0.99),
        sum(row.cpu_us for row, _ in rows) / len(rows),
        sum(per_s for _, per_s in rows) / len(rows),
    )
