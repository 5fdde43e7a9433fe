"""How a worker ends: by its watchdog, by one signal, by a second one."""

import signal
from collections.abc import Callable

from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Traffic
from stream.worker import EXIT_STALLED

OpenSystem = Callable[..., SystemUnderTest]
Send = Callable[..., Traffic]


def test_a_partition_with_lag_and_no_progress_ends_the_worker(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop(stall_s=3.0)
    send(system)
    system.redis.child.suspend()
    system.await_that(lambda: bool(system.supervisor.exits), 60, "the watchdog")
    system.redis.child.resume()
    assert system.supervisor.exits[0] == ("worker-1", EXIT_STALLED)


def test_a_first_sigterm_drains_and_leaves_the_group(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop(workers=2)
    send(system)
    worker, other = system.supervisor.workers
    system.await_that(
        lambda: system.owns_something(worker) and system.owns_something(other), 60, "both workers"
    )
    assert system.supervisor.remove(worker) == 0
    everything = tuple(range(system.settings.partitions))
    # Well before the session timeout: the group was told.
    system.await_that(lambda: system.owners() == {other.pid: everything}, 5, "the other worker to own all")


def test_a_second_sigterm_ends_a_worker_that_cannot_drain(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    send(system)
    (worker,) = system.supervisor.workers
    system.redis.child.suspend()
    worker.send(signal.SIGTERM)
    log = system.folder / "logs" / "worker-1.log"
    system.await_that(lambda: "stopping" in log.read_text(), 10, "the first signal to be taken")
    worker.send(signal.SIGTERM)
    system.await_that(lambda: bool(system.supervisor.exits), 5, "the end")
    system.redis.child.resume()
    assert system.supervisor.exits[0] == ("worker-1", 128 + signal.SIGTERM)
