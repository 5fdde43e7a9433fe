"""Python's garbage collector, set for a process that keeps many small objects without cycles."""

import gc


def tune_collector() -> None:
    """Take what exists now out of the collector's sight, and let it look far less often.

    Events and states hold no cycles, but every one of them counts towards the collector's thresholds: with
    the defaults it takes a quarter of the CPU time.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
