"""What a later version wrote is refused before anything is written over it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from redis import Redis

from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import FORMAT_WITH_EXTRA, pack_visitor, unpack_visitor
from earlier_version import check_out
from golden_files import golden_visitors
from ops.chaos.traffic import make_producer
from ops.chaos.worker_supervisor import WorkerSupervisor
from services import wait_until

VISITOR = golden_visitors()[0].blob
LATER = b"\x9a\x7f" + VISITOR[2:]
"""A state of format 127."""
EXTENDED = pack_visitor(unpack_visitor(VISITOR)._replace(extra={"an.extension": 1}))


def test_a_state_of_a_later_format_is_refused() -> None:
    with pytest.raises(ValueError, match=refusal(127, FORMAT_WITH_EXTRA)):
        unpack_visitor(LATER)


def test_its_partition_waits_for_the_upgrade_and_the_others_go_on(
    make_installation: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_installation(partitions=2)
    keys, redis = Keys(settings.namespace, 2), Redis.from_url(settings.redis_url)
    mine, other = (next(f"u{n}" for n in range(9) if partition_of(f"u{n}", 2) == p) for p in (0, 1))
    redis.set(keys.visitor(mine), LATER)
    for user in (mine, other):
        send_view(settings, user)
    supervisor = WorkerSupervisor(settings, tmp_path)
    worker = supervisor.add()
    try:
        wait_until(lambda: redis.hget(keys.meta(1), "applied") == b"1", 60, "the other partition to go on")
        said = f"partition 0 is blocked, the others continue: {refusal(127, FORMAT_WITH_EXTRA)}"
        wait_until(lambda: said in worker.log_path.read_text(), 30, "the worker to say why it waits")
        assert redis.get(keys.visitor(mine)) == LATER
        redis.delete(keys.visitor(mine))
        wait_until(lambda: redis.hget(keys.meta(0), "applied") == b"1", 30, "the partition to go on")
    finally:
        supervisor.close()
    assert supervisor.exits == []
    redis.close()


def test_a_worker_of_an_earlier_version_ends_at_values_of_extensions(
    make_installation: Callable[..., Settings], tmp_path: Path
) -> None:
    env = check_out(tmp_path / "earlier")
    assert_refused(make_installation(partitions=1), tmp_path, EXTENDED, refusal(FORMAT_WITH_EXTRA, 3), env)


def send_view(settings: Settings, user: str) -> None:
    producer = make_producer(settings)
    event = Event("e1", EventType.VIEW, 1_748_854_800_000, user, "p1")
    p = partition_of(user, settings.partitions)
    producer.produce(Topics(settings.topic_prefix).of(EventType.VIEW), encode(event), user.encode(), p)
    assert producer.flush(30) == 0


def refusal(found: int, newest: int) -> str:
    return f"visitor blob has format {found}, this version reads up to {newest}"


def assert_refused(
    settings: Settings, folder: Path, blob: bytes, message: str, env: Mapping[str, str] | None = None
) -> None:
    """A worker that gets an event of a visitor with this state ends with the message, and writes nothing."""
    keys, redis = Keys(settings.namespace, 1), Redis.from_url(settings.redis_url)
    redis.set(keys.visitor("u1"), blob)
    send_view(settings, "u1")
    supervisor = WorkerSupervisor(settings, folder, env=env)
    worker = supervisor.add()
    try:
        wait_until(lambda: len(supervisor.exits) > 0, 60, "the worker to end")
    finally:
        supervisor.close()
    assert supervisor.exits[0] == (worker.name, 1)
    assert message in worker.log_path.read_text()
    assert redis.get(keys.visitor("u1")) == blob
    assert not redis.hexists(keys.meta(0), "applied")
    redis.close()
