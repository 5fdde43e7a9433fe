"""The job, as `BENCH_JOB` has it: idle, sleeping, computing, or computing in a thread of the worker."""

import os
import threading
import time
from collections.abc import Iterable

from contracts.subjects import Subject, SubjectKind
from stream.batch.result import BatchResult
from stream.jobs.job import DerivedJob, JobContext
from stream.registry import Registry

JOB_S = 0.1
NAME = "bench"


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
    time.sleep(JOB_S)
    return f"{subject} at {context.made_ms}"


def compute(context: JobContext, subject: Subject) -> str:
    """Keep a core busy with Python."""
    _compute()
    return f"{subject} at {context.made_ms}"


def _compute() -> None:
    end_s = time.perf_counter() + JOB_S
    while time.perf_counter() < end_s:
        sum(range(1_000))


def _compute_for_ever() -> None:
    while True:
        _compute()


def _nothing(_: BatchResult) -> Iterable[str]:
    return ()


def _products(result: BatchResult) -> Iterable[str]:
    """The products in the batch's new actions."""
    return {product_id for kinds in result.counts.minutes.values() for ids in kinds for product_id in ids}
