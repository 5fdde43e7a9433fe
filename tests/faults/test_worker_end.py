"""How a worker ends: by its watchdog, by one signal, by a second one."""

import signal
from collections.abc import Callable

from ops.chaos.system import Site
from ops.chaos.traffic import Traffic
from stream.worker import EXIT_STALLED

OpenSite = Callable[..., Site]
Send = Callable[..., Traffic]


def test_a_partition_with_lag_and_no_progress_ends_the_worker(open_shop: OpenSite, send: Send) -> None:
    site = open_shop(stall_s=3.0)
    send(site)
    site.redis.child.suspend()
    site.await_that(lambda: bool(site.crew.exits), 60, "the watchdog")
    site.redis.child.resume()
    assert site.crew.exits[0] == ("worker-1", EXIT_STALLED)


def test_a_first_sigterm_drains_and_leaves_the_group(open_shop: OpenSite, send: Send) -> None:
    site = open_shop(workers=2)
    send(site)
    worker, other = site.crew.workers
    site.await_that(lambda: site.owns_something(worker) and site.owns_something(other), 60, "both workers")
    assert site.crew.remove(worker) == 0
    everything = tuple(range(site.settings.partitions))
    # Well before the session timeout: the group was told.
    site.await_that(lambda: site.owners() == {other.pid: everything}, 5, "the other worker to own all")


def test_a_second_sigterm_ends_a_worker_that_cannot_drain(open_shop: OpenSite, send: Send) -> None:
    site = open_shop()
    send(site)
    (worker,) = site.crew.workers
    site.redis.child.suspend()
    worker.send(signal.SIGTERM)
    log = site.folder / "logs" / "worker-1.log"
    site.await_that(lambda: "stopping" in log.read_text(), 10, "the first signal to be taken")
    worker.send(signal.SIGTERM)
    site.await_that(lambda: bool(site.crew.exits), 5, "the end")
    site.redis.child.resume()
    assert site.crew.exits[0] == ("worker-1", 128 + signal.SIGTERM)
