"""The sweep of Python's garbage collector between rounds."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stream.runtime.gc_tuning import UNSEEN, sweep_young


class Node:
    """A cycle of one object."""

    def __init__(self) -> None:
        self.me: Node | None = self


@pytest.fixture(autouse=True)
def collector_at_rest() -> Iterator[None]:
    """No collection but the sweep's, and nothing stays out of the collector's sight after a test."""
    gc.collect()
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.fixture
def looks() -> Iterator[list[int]]:
    """How much garbage each collection found."""
    found: list[int] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "stop":
            found.append(info["collected"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


@asynccontextmanager
async def sweeping() -> AsyncIterator[None]:
    sweep = asyncio.create_task(sweep_young())
    try:
        async with asyncio.timeout(30):
            yield
    finally:
        sweep.cancel()


async def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


async def await_sweep() -> None:
    """Return after a sweep: what is new now is out of the collector's sight then."""
    alive = Node()
    await wait_until(lambda: not any(thing is alive for thing in gc.get_objects()))
    alive.me = None  # leaves no garbage behind


async def test_garbage_is_found_and_what_is_in_use_is_looked_at_once(looks: list[int]) -> None:
    """A dead cycle goes; a live object is frozen, so no later look sees it again."""
    dead = Node()
    ghost = weakref.ref(dead)
    del dead
    async with sweeping():
        await wait_until(lambda: ghost() is None)
        await await_sweep()
    assert looks[0] > 0


async def test_sweeps_seldom_look_where_there_is_no_garbage(looks: list[int]) -> None:
    """After a look that found none, sweeps only freeze."""
    async with sweeping():
        await wait_until(lambda: 0 in looks)
        for _ in range(UNSEEN // 2):
            await await_sweep()
        assert looks.count(0) == 1


async def test_a_steady_stream_of_garbage_is_found_by_every_sweep(looks: list[int]) -> None:
    """Once a look has found garbage, each sweep looks until there is none."""
    async with sweeping():
        await wait_until(lambda: 0 in looks)  # the longest time without a look begins
        while len(looks) < looks.index(0) + 6:
            Node()
            await asyncio.sleep(0.01)
    after = looks[looks.index(0) + 1 :]
    assert all(found > 0 for found in after), looks
