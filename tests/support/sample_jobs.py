"""Jobs for tests: functions that the process that runs jobs imports by name."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from contracts.subjects import Subject, SubjectKind
from stream.batch.result import BatchResult
from stream.jobs.job import DerivedJob, JobContext


def make_job(run: Callable[[JobContext, Subject], Any], **fields: Any) -> DerivedJob:
    """A job about products whose snapshots are due as soon as they are stale, named after its function."""
    plain: dict[str, Any] = {
        "name": run.__name__, "kind": SubjectKind.PRODUCT, "run": run, "stale": nothing_stale, "ttl_s": 60,
        "interval_s": 0.001, "limit_s": 5.0,
    }  # fmt: skip
    return DerivedJob(**{**plain, **fields})


def nothing_stale(_: BatchResult) -> Iterable[str]:
    """Of a job whose queue a test fills itself."""
    return ()


def read_input(context: JobContext, subject: Subject) -> Any:
    """What the test left in Redis for the subject, and how often it was read."""
    name = f"{context.keys.namespace}:input:{subject.id}"
    found: Any = context.redis.hgetall(name)
    if not found:
        return None
    context.redis.hincrby(f"{context.keys.namespace}:runs", subject.id, 1)
    return {"id": subject.id, "text": found[b"text"].decode(), "made_ms": context.made_ms}


def describe(context: JobContext, subject: Subject) -> Any:
    """What the process says of itself."""
    sys.stdout.write("what a job prints is no answer\n")
    sys.stdout.flush()
    return {
        "pid": os.getpid(), "session": os.getsid(0), "nice": os.nice(0), "paths": sys.path,
        "subject": str(subject), "namespace": context.settings.namespace,
    }  # fmt: skip


def fail(context: JobContext, subject: Subject) -> Any:
    """Raises."""
    raise ValueError(f"{subject.id} of {context.keys.namespace} cannot be")


def give_bytes(*_: Any) -> Any:
    """A value that JSON cannot hold."""
    return {"raw": b"\xff"}


def end(*_: Any) -> Any:
    """Ends the process, as a crash in C would."""
    os._exit(3)


def fork_and_end(*_: Any) -> Any:
    """Ends the process, but not what it forked, which has its pipes."""
    if os.fork() == 0:
        time.sleep(6)
    os._exit(3)


def sleep_long(*_: Any) -> Any:
    """Longer than any limit of a test."""
    time.sleep(60)
    return None


def compute(*_: Any) -> Any:
    """100 ms of Python."""
    until_s = time.perf_counter() + 0.1
    number = 0
    while time.perf_counter() < until_s:
        number += 1
    return number
