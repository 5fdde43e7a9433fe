"""The job, as `BENCH_JOB` has it: idle, sleeping, computing, or computing in a thread of the worker.

It is at work in every other window of `WINDOW_MS` of the clock and rests in those between, so that its
effect can be told from that of a machine which others use too.
"""

import os
import threading
import time
from collections.abc import Iterable

from contracts.clock import wall_clock_ms
from contracts.subjects import Subject, SubjectKind
from stream.batch.result import BatchResult
from stream.jobs.job import DerivedJob, JobContext
from stream.registry import Registry

JOB_S = 0.1
WINDOW_MS = 2_000
NAME = "bench"


def is_busy(at_ms: int) -> bool:
    """Whether the job is at work at this time."""
    return at_ms // WINDOW_MS % 2 == 0


def register(registry: Registry) -> None:
    """Register the job, or start the thread that stands for one without a process of its own."""
    kind = os.environ["BENCH_JOB"]
    if kind == "thread":
        threading.Thread(target=_compute_for_ever, name="job", daemon=True).start()
        return
    run = sleep if kind == "sleep" else compute
    stale = _nothing if kind == "idle" else _products
    registry.jobs.add(DerivedJob(NAME, SubjectKind.PRODUCT, run, stale, ttl_s=3_600))


def sleep(context: JobContext, subject: Subject) -> str:
    """Wait, as for an answer of somebody else."""
    _rest()
    time.sleep(JOB_S)
    return f"{subject} at {context.made_ms}"


def compute(context: JobContext, subject: Subject) -> str:
    """Keep a core busy with Python."""
    _rest()
    _compute()
    return f"{subject} at {context.made_ms}"


def _rest() -> None:
    now_ms = wall_clock_ms()
    if not is_busy(now_ms):
        time.sleep((WINDOW_MS - now_ms % WINDOW_MS) / 1_000)


def _compute() -> None:
    end_s = time.perf_counter() + JOB_S
    while time.perf_counter() < end_s:
        sum(range(1_000))


def _compute_for_ever() -> None:
    while True:
        _rest()
        _compute()


def _nothing(_: BatchResult) -> Iterable[str]:
    return ()


def _products(result: BatchResult) -> Iterable[str]:
    """The products in the batch's new actions."""
    return {product_id for kinds in result.counts.minutes.values() for ids in kinds for product_id in ids}
