"""Workers of an earlier version and of this one in one group: the upgrade, and the way back, under load."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earlier_version import check_out
from ops.chaos.crew import Crew
from ops.chaos.site import Site
from ops.chaos.traffic import Traffic
from ops.stack.child import Child
from verdicts import assert_exact, assert_replayed

OpenSite = Callable[..., Site]
Send = Callable[..., Traffic]


@pytest.fixture
def start_earlier(tmp_path: Path) -> Iterator[Callable[[Site], Crew]]:
    """`start_earlier(site)`: one worker of the earlier version, on the site's services."""
    crews: list[Crew] = []
    env = check_out(tmp_path / "earlier")

    def start(site: Site) -> Crew:
        crews.append(Crew(site.settings, tmp_path / "earlier-logs", env=env))
        crews[-1].add()
        return crews[-1]

    yield start
    for crew in crews:
        crew.close()


def await_shared(site: Site, *workers: Child) -> None:
    """Until each of these owns partitions, together they own all, and events are applied."""

    def owned() -> list[int]:
        owners = site.owners()
        return [p for worker in workers for p in owners.get(worker.pid, ())]

    def shared() -> bool:
        return sorted(owned()) == list(range(site.keys.partitions)) and all(map(site.owns_something, workers))

    site.await_that(shared, 60, f"{', '.join(worker.name for worker in workers)} to own all partitions")
    before = site.counter("applied")
    site.await_that(lambda: site.counter("applied") > before + 500, 60, "500 events to be applied")


def kill(site: Site, worker: Child) -> None:
    """kill -9; returns when its supervisor has started it again."""
    pid = worker.pid
    worker.kill()
    site.await_that(lambda: worker.pid != pid, 10, f"{worker.name} to be started again")


def test_an_upgrade_and_the_way_back_lose_nothing(
    open_shop: OpenSite, send: Send, start_earlier: Callable[[Site], Crew]
) -> None:
    site = open_shop(workers=0)
    earlier, crew = start_earlier(site), site.crew
    (old,) = earlier.workers
    traffic = send(site, events_per_s=400)
    await_shared(site, old)
    new = crew.add()
    await_shared(site, old, new)
    kill(site, old)
    await_shared(site, old, new)
    assert earlier.remove(old) == 0
    await_shared(site, new)
    old = earlier.add()
    await_shared(site, old, new)
    kill(site, new)
    await_shared(site, old, new)
    assert crew.remove(new) == 0
    await_shared(site, old)
    assert_replayed(assert_exact(site, traffic))
    assert [code for _, code in [*earlier.exits, *crew.exits]] == [-9, -9]
