"""Python's garbage collector, set for a process that keeps many small objects without cycles."""

import asyncio
import gc
from collections.abc import Callable

SWEEP_S = 0.1


def tune_collector() -> None:
    """Take what exists now out of the collector's sight, and let it look far less often.

    Events and states hold no cycles, but every one of them counts towards the collector's thresholds: with
    the defaults it takes a quarter of the CPU time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def sweep_young(is_behind: Callable[[], bool]) -> None:
    """Look through what is new every `SWEEP_S`, and never again, until cancelled; not in a backlog.

    Left to its thresholds the collector stops a worker for 100 to 300 ms whenever so many new states have
    come together, most of them in no processor cache any more. In a backlog nobody waits for a single event,
    and much of what is new is events that are gone before the thresholds are reached. A cycle that was in use
    when it was looked at, and is garbage later, stays; states hold none, so these are few.
    """
    while True:
        await asyncio.sleep(SWEEP_S)
        if not is_behind():
            gc.collect(0)
            gc.freeze()
