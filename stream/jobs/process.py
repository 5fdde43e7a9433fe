"""The worker's side of the process that runs jobs: started when needed, killed when a run takes too long."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgpack
from pydantic import SecretStr

from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.subjects import Subject
from stream.jobs.job import DerivedJob

log = logging.getLogger(__name__)

READ_BYTES = 65_536
START_S = 60.0
"""Time for a process to import what the jobs need, with the little that a busy worker leaves it."""
CLOSE_S = 2.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""One process is one core at most: the worker, Redis and Kafka need the others."""

_pack = msgpack.Packer(use_bin_type=True).pack


class JobFailed(RuntimeError):
    """A run that gave no value: what the job raised, or the end of its process."""


class JobTimeout(JobFailed):
    """A run that took longer than its job's `limit_s` and was killed."""


class JobResult(NamedTuple):
    """A job's value, packed with MessagePack, and as JSON if that was wanted; None if it gave none.

    `made_ms` (epoch ms) is when the run began, `seconds` how long it took.
    """

    packed: bytes | None
    json: bytes | None
    made_ms: int
    seconds: float


class JobProcess:
    """Runs one job at a time in another process.

    Not in a thread: Python's global lock would let a job that computes hold up the worker's event loop
    (docs/performance-log.md), and a thread cannot be ended.
    """

    def __init__(self, settings: Settings, jobs: Iterable[DerivedJob]) -> None:
        self._settings = settings
        self._functions = [job.function for job in jobs]
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._answers = _unpacker()

    async def run(self, job: DerivedJob, subject: Subject) -> JobResult:
        """Run a job when its turn has come; raises `JobFailed`."""
        async with self._turn:
            try:
                async with asyncio.timeout(START_S):  # `wait_for` of Python 3.11 may swallow a cancellation
                    process = await self._running()
                made_ms, began_s = wall_clock_ms(), time.monotonic()
                ask = _pack([job.function, str(subject), made_ms, bool(job.topic)])
                async with asyncio.timeout(job.limit_s):
                    ok, value, json = await self._ask(process, ask)
                seconds = time.monotonic() - began_s
            except TimeoutError as exc:
                await self.stop()
                raise JobTimeout(
                    f"took longer than {job.limit_s:g} s, or no process could be started"
                ) from exc
            except (OSError, EOFError, ValueError, msgpack.UnpackException) as exc:
                await self.stop()
                raise JobFailed(f"its process ended: {exc!r}") from exc
            except asyncio.CancelledError:
                await self.stop()  # an answer on its way would be taken for the next one's
                raise
        if not ok:
            raise JobFailed(value)
        return JobResult(value, json, made_ms, seconds)

    async def stop(self) -> None:
        """Kill the process, if there is one; the next run starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):  # what a job forked may have the pipe as well
            async with asyncio.timeout(CLOSE_S):
                if process.stdout is not None:
                    await process.stdout.read()
                await process.wait()

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._answers = _unpacker()
            paths = os.pathsep.join(path for path in sys.path if path)  # what is importable here, and no more
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "stream.jobs",
                stdin=PIPE, stdout=PIPE, env=os.environ | _ONE_THREAD | {"PYTHONPATH": paths},
            )  # fmt: skip
            log.info("jobs run in process %d", self._process.pid)
            await self._ask(self._process, _pack([_fields(self._settings), self._functions]))
        return self._process

    async def _ask(self, process: Process, ask: bytes) -> Any:
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise EOFError("it has no pipes")
        stdin.write(ask)
        await stdin.drain()
        while True:
            try:
                return self._answers.unpack()
            except msgpack.OutOfData:
                read = await stdout.read(READ_BYTES)
                if not read:
                    raise EOFError(f"exit code {await process.wait()}") from None
                self._answers.feed(read)


def _unpacker() -> msgpack.Unpacker:
    return msgpack.Unpacker(max_buffer_size=0)


def _fields(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, secrets in the clear: they go through a pipe to our own child."""
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings.model_dump().items()
    }
