"""The interpreter's switch interval in live traffic and in a backlog."""

import asyncio
import sys

from stream.runtime.thread_switching import BACKLOG_S, LIVE_S, tune_switching


async def await_interval(wanted_s: float) -> None:
    async with asyncio.timeout(20):
        while abs(sys.getswitchinterval() - wanted_s) > 1e-5:
            await asyncio.sleep(0.01)


async def test_threads_switch_quickly_in_live_traffic_only() -> None:
    """Short turns while the worker keeps up, Python's own in a backlog and after the end."""
    behind = False
    tuning = asyncio.create_task(tune_switching(lambda: behind))
    await await_interval(LIVE_S)
    behind = True
    await await_interval(BACKLOG_S)
    behind = False
    await await_interval(LIVE_S)
    tuning.cancel()
    await await_interval(BACKLOG_S)
