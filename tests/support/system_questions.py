"""Questions to a system under test, and the same log read by another one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from connections.asyncio_redis import open_redis_pool
from ops.chaos.system import SystemUnderTest
from ops.chaos.worker_supervisor import WorkerSupervisor
from readers.reader import Reader

T = TypeVar("T")


def ask(system: SystemUnderTest, question: Callable[[Reader], Coroutine[Any, Any, T]]) -> T:
    """The answer to a question of a process of the API."""

    async def main() -> T:
        redis = open_redis_pool(system.settings)
        try:
            return await question(Reader(redis, system.settings))
        finally:
            await redis.aclose()

    return asyncio.run(main())


def replay(system: SystemUnderTest, number: int) -> SystemUnderTest:
    """The same log read from its start into an empty namespace by a worker of another group."""
    changes = {
        "namespace": f"{system.settings.namespace}{number}",
        "group": f"{system.settings.group}{number}",
    }
    settings = system.settings.model_copy(update=changes)
    return SystemUnderTest(
        settings, system.redis, WorkerSupervisor(settings, system.folder / f"replay{number}"), system.folder
    )
