"""Nothing lost, nothing twice: real services are harmed under load, then everything is counted."""

import random
from collections.abc import Callable

from exactness import assert_exact, assert_replayed, await_load
from ops.chaos.faults import (
    Fault,
    empty_redis,
    join_and_leave,
    kill_broker,
    kill_redis,
    kill_worker,
    lose_offsets,
    pause_worker,
    replay_topic,
    rewind_redis,
)
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Traffic
from ops.stack.broker import KafkaBroker

OpenSystem = Callable[..., SystemUnderTest]
Send = Callable[..., Traffic]

DRAW = random.Random(7)


def inject(system: SystemUnderTest, fault: Fault, *, times: int = 1) -> None:
    for _ in range(times):
        await_load(system)
        system.await_commits(fault(system, DRAW).recovered_after_ms)


def test_killed_workers_lose_nothing_and_count_nothing_twice(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop(workers=1)
    traffic = send(system)
    inject(system, kill_worker, times=2)
    assert_replayed(assert_exact(system, traffic))
    assert [code for _, code in system.supervisor.exits] == [-9, -9]


def test_a_killed_redis_loses_nothing_it_answered(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    traffic = send(system)
    inject(system, kill_redis, times=2)
    assert_replayed(assert_exact(system, traffic))


def test_a_redis_restored_from_an_older_copy_is_brought_up_to_date(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    traffic = send(system)
    inject(system, rewind_redis)
    assert_exact(system, traffic)
    assert system.supervisor.exits == []


def test_a_killed_broker_loses_nothing(private_kafka: KafkaBroker, open_shop: OpenSystem, send: Send) -> None:
    system = open_shop(broker=private_kafka)
    traffic = send(system)
    inject(system, kill_broker)
    assert_exact(system, traffic, replayed=1)


def test_a_zombie_does_not_write_after_its_partitions_were_taken_over(
    open_shop: OpenSystem, send: Send
) -> None:
    system = open_shop(workers=2)
    traffic = send(system)
    inject(system, pause_worker)
    assert_replayed(assert_exact(system, traffic))


def test_workers_join_and_leave(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    traffic = send(system)
    inject(system, join_and_leave)
    assert_replayed(assert_exact(system, traffic))
    assert system.supervisor.exits == []


def test_events_sent_twice_count_once(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    traffic = send(system, repeated=1.0)
    inject(system, kill_worker)
    assert_exact(system, traffic)
    assert system.counter("duplicates") == system.counter("applied")


def test_a_group_moved_to_offset_0_reads_on_from_what_redis_has(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    traffic = send(system)
    inject(system, replay_topic)
    assert_exact(system, traffic)


def test_event_ids_keep_totals_exact_when_the_stored_offsets_are_lost(
    open_shop: OpenSystem, send: Send
) -> None:
    system = open_shop()
    traffic = send(system)
    inject(system, lose_offsets)
    assert_exact(system, traffic)
    assert system.counter("duplicates") > 2_000


def test_an_emptied_redis_is_filled_again_from_the_log(open_shop: OpenSystem, send: Send) -> None:
    system = open_shop()
    traffic = send(system)
    inject(system, empty_redis)
    assert_replayed(assert_exact(system, traffic))
