"""The process that runs jobs: what it answers, and that neither a failure nor a kill stops the next run."""

import asyncio
import os
from collections.abc import AsyncIterator

import msgpack
import orjson
import psutil
import pytest

from contracts.settings import Settings
from contracts.subjects import product
from sample_jobs import describe, end, fail, fork_and_end, give_bytes, make_job, sleep_long
from stream.jobs.process import JobFailed, JobProcess, JobTimeout

SETTINGS = Settings(namespace="jobs", partitions=3)


@pytest.fixture
async def process() -> AsyncIterator[JobProcess]:
    started = JobProcess(SETTINGS, [make_job(describe)])
    yield started
    await started.stop()


async def test_a_job_runs_in_another_process_of_low_priority_with_the_same_settings(
    process: JobProcess,
) -> None:
    result = await process.run(make_job(describe), product("p:1"))
    assert result.packed is not None
    said = msgpack.unpackb(result.packed)
    assert said["pid"] != os.getpid()
    assert (said["subject"], said["namespace"]) == ("product:p:1", "jobs")
    assert said["nice"] == 19, "the lowest"
    assert said["session"] == said["pid"], "or Linux would give it as much as all of the worker"
    assert result.json is None
    assert 0 < result.seconds < 60
    again = await process.run(make_job(describe), product("p2"))
    assert again.packed is not None
    assert msgpack.unpackb(again.packed)["pid"] == said["pid"], "one process for all runs"


async def test_a_topic_gets_the_value_as_json(process: JobProcess) -> None:
    result = await process.run(make_job(describe, topic="descriptions"), product("p1"))
    assert result.json is not None
    assert result.packed is not None
    assert orjson.loads(result.json) == msgpack.unpackb(result.packed)


async def test_what_a_job_raises_is_said_and_the_next_run_goes_on(process: JobProcess) -> None:
    with pytest.raises(JobFailed, match="ValueError: p1 of jobs cannot be"):
        await process.run(make_job(fail), product("p1"))
    assert (await process.run(make_job(describe), product("p1"))).packed


async def test_a_value_that_the_topic_cannot_hold_is_a_failure(process: JobProcess) -> None:
    assert (await process.run(make_job(give_bytes), product("p1"))).packed
    with pytest.raises(JobFailed, match="not JSON serializable"):
        await process.run(make_job(give_bytes, topic="bytes"), product("p1"))


async def test_a_run_that_takes_too_long_is_killed_and_the_next_has_a_process_of_its_own(
    process: JobProcess,
) -> None:
    before = await process.run(make_job(describe), product("p1"))
    with pytest.raises(JobTimeout, match=r"longer than 0\.2 s"):
        await process.run(make_job(sleep_long, limit_s=0.2), product("p1"))
    after = await process.run(make_job(describe), product("p1"))
    pids = [msgpack.unpackb(result.packed or b"")["pid"] for result in (before, after)]
    assert pids[0] != pids[1]
    assert not psutil.pid_exists(pids[0])


async def test_a_process_that_ends_is_replaced(process: JobProcess) -> None:
    with pytest.raises(JobFailed, match="exit code 3"):
        await process.run(make_job(end), product("p1"))
    assert (await process.run(make_job(describe), product("p1"))).packed


async def test_a_process_that_left_another_behind_is_waited_for_no_longer_than_its_limit(
    process: JobProcess,
) -> None:
    await process.run(make_job(describe), product("p1"))
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(JobTimeout):
        await process.run(make_job(fork_and_end, limit_s=0.5), product("p1"))
    assert asyncio.get_running_loop().time() - began_s < 6
    assert (await process.run(make_job(describe), product("p1"))).packed
    await asyncio.sleep(began_s + 8 - asyncio.get_running_loop().time())  # only then its pipe is closed


async def test_the_answer_to_a_cancelled_run_is_not_taken_for_another(process: JobProcess) -> None:
    await process.run(make_job(describe), product("p1"))
    cancelled = asyncio.create_task(process.run(make_job(sleep_long), product("p1")))
    await asyncio.sleep(0.1)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    result = await process.run(make_job(describe), product("p2"))
    assert msgpack.unpackb(result.packed or b"")["subject"] == "product:p2"


async def test_runs_wait_for_their_turn(process: JobProcess) -> None:
    results = await asyncio.gather(*[process.run(make_job(describe), product(f"p{i}")) for i in range(5)])
    assert [msgpack.unpackb(r.packed or b"")["subject"] for r in results] == [
        f"product:p{i}" for i in range(5)
    ]


async def test_it_ends_with_its_worker(process: JobProcess) -> None:
    await process.run(make_job(describe), product("p1"))
    child = process._process
    assert child is not None
    assert child.stdin is not None
    child.stdin.close()  # as a worker's death does
    assert await asyncio.wait_for(child.wait(), 120) == 0  # of the lowest priority
