"""Deletions from the command line: asked for, followed, and checked, without the API."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from redis.exceptions import RedisError
from rich.console import Console

from api.registry import find_scrubbers
from api.resources.privacy.job import DeletionJob, JobStatus
from api.resources.privacy.jobs import DeletionJobs
from api.resources.privacy.linked import open_deletions
from api.resources.privacy.recorder import Unrecorded
from api.resources.privacy.remover import Remover
from api.resources.privacy.schemas import to_deletion
from connections.asyncio_redis import open_redis_pool
from contracts.extensions import load_contracts
from contracts.fields import InvalidEvent, identifier
from contracts.settings import Settings
from readers.id_search import Needle, search
from readers.reader import Reader

POLL_S = 0.2


def run_delete(settings: Settings, user_id: str, *, timeout_s: float) -> int:
    """Delete a visitor and go on with it for so long; the exit code is 0 once it is done or nobody waits."""

    async def work(reader: Reader, console: Console) -> int:
        try:
            job = await open_deletions(reader, DeletionJobs(reader), identifier("user_id", user_id))
        except (InvalidEvent, Unrecorded) as exc:
            console.print(f"not deleted: {exc}")
            return 1
        job = await _follow(reader, job, timeout_s)
        _show(console, job)
        return 0 if job.status is JobStatus.DONE or not timeout_s else 1

    return _run(settings, work)


def run_status(settings: Settings, deletion_id: str) -> int:
    """Print how far a deletion is; the exit code is 1 if it is not known."""

    async def work(reader: Reader, console: Console) -> int:
        job = await DeletionJobs(reader).get(deletion_id)
        if job is None:
            console.print("no deletion with this id is stored")
            return 1
        _show(console, job)
        return 0

    return _run(settings, work)


def run_check(settings: Settings, user_id: str) -> int:
    """Print every place in Redis where the visitor is named; the exit code is 1 if there is any."""

    async def work(reader: Reader, console: Console) -> int:
        needle = Needle(user_id)
        (places,) = await search(reader.redis, reader.keys, [needle])
        for key, inside in sorted(places):
            console.out(f"{'in ' if inside else 'key'}  {key}", highlight=False)
        told = f"found in {len(places)} places" if places else "not found in any key or value"
        console.print(
            told if needle.is_distinctive else f"{told} (a short id: searched only where ids occur)"
        )
        return 1 if places else 0

    return _run(settings, work)


async def _follow(reader: Reader, job: DeletionJob, timeout_s: float) -> DeletionJob:
    """The deletion once it is done, or after so long."""
    remover, deadline = Remover(reader, find_scrubbers(reader.settings)), time.monotonic() + timeout_s
    while job.status is not JobStatus.DONE and time.monotonic() < deadline:
        await remover.advance()
        await asyncio.sleep(POLL_S)
        job = await remover.jobs.get(job.deletion_id) or job
    return job


def _show(console: Console, job: DeletionJob) -> None:
    text = orjson.dumps(to_deletion(job).model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    console.out(text.decode(), highlight=False)


def _run(settings: Settings, work: Callable[[Reader, Console], Awaitable[int]]) -> int:
    load_contracts(settings)  # whose ids stand in keys of extensions
    console = Console(highlight=False, soft_wrap=True)

    async def main() -> int:
        async with _reader(settings) as reader:
            return await work(reader, console)

    try:
        return asyncio.run(main())
    except RedisError as exc:
        console.print(f"Redis does not answer: {exc}\n`storepulse up` starts a stack.", markup=False)
        return 1


@asynccontextmanager
async def _reader(settings: Settings) -> AsyncIterator[Reader]:
    redis = open_redis_pool(settings)
    try:
        yield Reader(redis, settings)
    finally:
        await redis.aclose()
