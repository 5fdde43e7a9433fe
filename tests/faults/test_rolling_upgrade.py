"""Workers of an earlier version and of this one in one group: the upgrade, and the way back, under load."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earlier_version import check_out
from exactness import assert_exact, assert_replayed
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Traffic
from ops.chaos.worker_supervisor import WorkerSupervisor
from ops.stack.child import Child
from stream.worker import EXIT_FENCED

OpenSystem = Callable[..., SystemUnderTest]
Send = Callable[..., Traffic]

LEAVE_S = 60.0
"""More than a worker that is asked to leave gives itself: 10 s for what it has and 10 s to close."""

LEFT = (0, EXIT_FENCED)
"""A worker that hears late of a rebalance claims what another has by then, and fences it; nothing is lost."""


@pytest.fixture
def start_earlier(tmp_path: Path) -> Iterator[Callable[[SystemUnderTest], WorkerSupervisor]]:
    """`start_earlier(system)`: one worker of the earlier version, on the system's services."""
    supervisors: list[WorkerSupervisor] = []
    env = check_out(tmp_path / "earlier")

    def start(system: SystemUnderTest) -> WorkerSupervisor:
        supervisors.append(WorkerSupervisor(system.settings, tmp_path / "earlier-logs", env=env))
        supervisors[-1].add()
        return supervisors[-1]

    yield start
    for supervisor in supervisors:
        supervisor.close()


def await_shared(system: SystemUnderTest, *workers: Child) -> None:
    """Until each of these owns partitions, together they own all, and events are applied."""

    def owned() -> list[int]:
        owners = system.owners()
        return [p for worker in workers for p in owners.get(worker.pid, ())]

    def shared() -> bool:
        return sorted(owned()) == list(range(system.keys.partitions)) and all(
            map(system.owns_something, workers)
        )

    system.await_that(shared, 60, f"{', '.join(worker.name for worker in workers)} to own all partitions")
    before = system.counter("applied")
    system.await_that(lambda: system.counter("applied") > before + 500, 60, "500 events to be applied")


def kill(system: SystemUnderTest, worker: Child) -> None:
    """kill -9; returns when its supervisor has started it again."""
    pid = worker.pid
    worker.kill()
    system.await_that(lambda: worker.pid != pid, 10, f"{worker.name} to be started again")


def test_an_upgrade_and_the_way_back_lose_nothing(
    open_shop: OpenSystem, send: Send, start_earlier: Callable[[SystemUnderTest], WorkerSupervisor]
) -> None:
    system = open_shop(workers=0, alert_watch_ms=0)  # else states have a format that the earlier one refuses
    system.earlier_workers = True
    earlier, supervisor = start_earlier(system), system.supervisor
    (old,) = earlier.workers
    traffic = send(system, events_per_s=400)
    await_shared(system, old)
    new = supervisor.add()
    await_shared(system, old, new)
    kill(system, old)
    await_shared(system, old, new)
    assert earlier.remove(old, LEAVE_S) in LEFT
    await_shared(system, new)
    old = earlier.add()
    await_shared(system, old, new)
    kill(system, new)
    await_shared(system, old, new)
    assert supervisor.remove(new, LEAVE_S) in LEFT
    await_shared(system, old)
    assert_replayed(assert_exact(system, traffic))
    exits = [code for _, code in [*earlier.exits, *supervisor.exits] if code != EXIT_FENCED]
    assert exits == [-9, -9]
