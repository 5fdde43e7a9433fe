"""The sweep of Python's garbage collector between rounds."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from stream.collector import sweep_young


class Node:
    """A cycle of one object."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def collector_at_rest() -> Iterator[None]:
    """No collection but the sweep's, and nothing stays out of the collector's sight after a test."""
    gc.collect()
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


async def sweep_until(is_over: Callable[[], bool], is_behind: Callable[[], bool]) -> None:
    sweep = asyncio.create_task(sweep_young(is_behind))
    try:
        async with asyncio.timeout(20):
            while not is_over():
                await asyncio.sleep(0.01)
    finally:
        sweep.cancel()


async def test_garbage_is_found_and_what_is_in_use_is_looked_at_once() -> None:
    """A dead cycle goes; a live state is frozen, so the next sweep does not see it again."""
    dead, alive = Node(), Node()
    ghost = weakref.ref(dead)
    del dead
    before = gc.get_freeze_count()
    await sweep_until(lambda: ghost() is None, lambda: False)
    assert gc.get_freeze_count() > before
    assert not any(thing is alive for thing in gc.get_objects())


async def test_nothing_is_swept_in_a_backlog() -> None:
    """While more waits than a round takes, the thresholds alone decide."""
    dead = Node()
    ghost = weakref.ref(dead)
    del dead
    asked = 0

    def is_behind() -> bool:
        nonlocal asked
        asked += 1
        return asked <= 3

    await sweep_until(lambda: asked == 3, is_behind)
    assert ghost() is not None
    await sweep_until(lambda: ghost() is None, is_behind)
    assert asked > 3
