"""What a later version wrote is refused before anything is written over it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from redis import Redis

from contracts.events import Event, EventType, encode
from contracts.keys import Keys
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


def test_a_worker_ends_and_leaves_it_as_it_is(
    make_installation: Callable[..., Settings], tmp_path: Path
) -> None:
    assert_refused(make_installation(partitions=1), tmp_path, LATER, refusal(127, FORMAT_WITH_EXTRA))


def test_a_worker_of_an_earlier_version_ends_at_values_of_extensions(
    make_installation: Callable[..., Settings], tmp_path: Path
) -> None:
    env = check_out(tmp_path / "earlier")
    assert_refused(make_installation(partitions=1), tmp_path, EXTENDED, refusal(FORMAT_WITH_EXTRA, 3), env)


def refusal(found: int, newest: int) -> str:
    return f"visitor blob has format {found}, this version reads up to {newest}"


def assert_refused(
    settings: Settings, folder: Path, blob: bytes, message: str, env: Mapping[str, str] | None = None
) -> None:
    """A worker that gets an event of a visitor with this state ends with the message, and writes nothing."""
    keys, redis = Keys(settings.namespace, 1), Redis.from_url(settings.redis_url)
    redis.set(keys.visitor("u1"), blob)
    producer = make_producer(settings)
    event = Event("e1", EventType.VIEW, 1_748_854_800_000, "u1", "p1")
    producer.produce(Topics(settings.topic_prefix).of(EventType.VIEW), encode(event), b"u1")
    assert producer.flush(30) == 0
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
