"""The garbage collector as the worker has it, for measuring the worker's steps outside of one."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from stream.runtime.gc_tuning import tune_gc


@contextmanager
def tuned_collector() -> Iterator[None]:
    """The worker's settings until the block ends; what exists before it is frozen, as at a worker's start."""
    thresholds = gc.get_threshold()
    gc.collect()
    tune_gc()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
