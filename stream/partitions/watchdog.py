"""The watchdog: a partition with lag and no progress for too long ends the worker."""

import asyncio
import faulthandler
import logging
import sys
import time
from collections.abc import Iterable

from connections.redis_health import RedisHealth
from contracts.settings import Settings
from stream.partitions.assignment import Assignment
from stream.partitions.partition import Partition

log = logging.getLogger(__name__)

CHECK_S = 2.0


class Stalled(RuntimeError):
    """A partition had records to read and nothing of it was committed for `stall_s`."""


def find_stalled(partitions: Iterable[Partition], *, now_s: float, stall_s: float) -> Partition | None:
    """A partition that has lag and has made no progress for longer than `stall_s`, or None."""
    for part in partitions:
        if part.lag > 0 and now_s - part.progress_s > stall_s:
            return part
    return None


async def watch(assignment: Assignment, settings: Settings, redis: RedisHealth) -> None:
    """Check every partition until cancelled; raises `Stalled` after writing all stacks to stderr.

    The ends of the logs are asked for anew, since a fetcher that died would not report any. An answer that
    does not come counts as lag: a worker that cannot reach its broker for so long is better started again.
    While Redis answers and refuses nothing is stalled: a worker that is started anew is refused the same.
    """
    answered_s = time.monotonic()
    while True:
        await asyncio.sleep(CHECK_S)
        if await _refresh_ends(assignment):
            answered_s = time.monotonic()
        now_s = time.monotonic()
        if not assignment.partitions:
            answered_s = now_s
        for part in assignment.partitions.values():
            if part.lag == 0 or redis.is_refused:
                part.progress_s = now_s  # nothing to do is not a stall: its clock starts with the next record
        stalled = find_stalled(assignment.partitions.values(), now_s=now_s, stall_s=settings.stall_s)
        if stalled is not None or now_s - answered_s > settings.stall_s:
            faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        if stalled is not None:
            raise Stalled(
                f"partition {stalled.number}: lag {stalled.lag}, no progress for {settings.stall_s} s"
            )
        if now_s - answered_s > settings.stall_s:
            raise Stalled(f"Kafka has not answered for {settings.stall_s} s")


async def _refresh_ends(assignment: Assignment) -> bool:
    """Ask for the ends of the logs of all partitions; False if no answer came."""
    wanted = [(topic, part.number) for part in assignment.partitions.values() for topic in part.topics]
    if not wanted:
        return True
    try:
        async with asyncio.timeout(CHECK_S):
            await assignment.refresh_ends(wanted)
    except Exception as exc:  # whatever the client raises, the answer did not come
        log.debug("no answer from Kafka: %s", exc)
        return False
    return True
