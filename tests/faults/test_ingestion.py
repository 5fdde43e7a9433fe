"""Nothing lost on the way in: what was answered with 202 is in Redis, exactly once, whatever was killed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from event_clients import EventApis, Storefronts
from ops.audit import (
    TotalsRules,
    count_log,
    differences,
    expected_of,
    has_settled,
    log_ends,
    lost_and_doubled,
    read_state,
)
from ops.chaos.system import SystemUnderTest
from ops.stack.broker import KafkaBroker

OpenSystem = Callable[..., SystemUnderTest]

EVENTS, CLIENTS = 100_000, 12


def test_every_event_answered_with_202_is_counted_exactly_once(
    private_kafka: KafkaBroker, open_shop: OpenSystem, tmp_path: Path
) -> None:
    system = open_shop(broker=private_kafka, scoring=False)
    (worker,) = system.supervisor.workers
    system.await_that(lambda: system.owns_something(worker), 60, "the worker to own partitions")
    apis = EventApis(system.settings, tmp_path, 2)
    storefronts = Storefronts(apis.urls, events=EVENTS, clients=CLIENTS, seed=5)

    def restart_kafka() -> None:
        private_kafka.kill()
        private_kafka.restart()

    def has_acknowledged(share: float) -> bool:
        return storefronts.n_acknowledged > share * EVENTS

    try:
        apis.open()
        storefronts.start()
        for share, fault in (
            (0.1, lambda: apis.kill_and_restart(0)),
            (0.25, lambda: apis.kill_and_restart(1)),
            (0.4, restart_kafka),
            (0.55, lambda: apis.kill_and_restart(0)),
            (0.7, lambda: apis.kill_and_restart(1)),
        ):
            system.await_that(partial(has_acknowledged, share), 180, f"{share:.0%}")
            assert storefronts.n_acknowledged < EVENTS, "there must be something left to lose"
            fault()
        storefronts.join(180)
    finally:
        storefronts.halt()
        apis.close()
    assert storefronts.answers["202"] >= EVENTS / 50
    assert storefronts.answers.total() > storefronts.answers["202"], "nobody noticed the fault"

    assert_counted_once(system, storefronts)


def assert_counted_once(system: SystemUnderTest, storefronts: Storefronts) -> None:
    settings = system.settings
    ends = log_ends(settings)
    system.await_that(
        lambda: has_settled(system.client, system.keys, ends, disorder_ms=settings.disorder_ms, live=True),
        120,
        f"every record to be applied, logs end at {ends}",
    )
    sent = storefronts.acknowledged.frame()
    assert len(sent) == sent["event_id"].n_unique() == EVENTS
    rules = TotalsRules.of(settings, live=True)
    expected, found = expected_of(sent, rules), read_state(system.client, system.keys)
    repeats = count_log(settings).records - EVENTS
    assert repeats >= storefronts.resent > 0
    expected.counters["duplicates"] = repeats
    unlike = differences(expected, found)
    assert unlike == [], "\n".join(unlike)
    assert lost_and_doubled(expected, found) == (0, 0)
    assert found.counters["applied"] == EVENTS
