"""Python's garbage collector, set for a process that keeps many small objects without cycles."""

import asyncio
import gc

SWEEP_S = 0.1
UNSEEN = 15
"""Sweeps without a look after one that found nothing."""


def tune_gc() -> None:
    """Take what exists now out of the collector's sight, and let it look far less often.

    Events and states hold no cycles, but every one of them counts towards the collector's thresholds: with
    the defaults it takes a quarter of the CPU time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def sweep_young() -> None:
    """Every `SWEEP_S` take what is new out of the collector's sight, until cancelled.

    Left to its thresholds the collector stops a worker for 100 to 300 ms whenever so many new states have
    come together. A worker makes no garbage in cycles, so a sweep that looked and found none is followed by
    `UNSEEN` that do not look; while there is any, each looks. What is garbage later, or in a sweep that did
    not look, stays: that may be said of a rare cycle, and not of a steady stream of them.
    """
    unseen = 0
    while True:
        await asyncio.sleep(SWEEP_S)
        if unseen:
            unseen -= 1
        elif not gc.collect(0):
            unseen = UNSEEN
        gc.freeze()
