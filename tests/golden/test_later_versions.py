"""What a later version wrote is refused before anything is written over it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import FORMAT_WITH_EXTRA, unpack_visitor
from golden_files import golden_visitors
from ops.chaos.traffic import make_producer
from ops.chaos.worker_supervisor import WorkerSupervisor
from services import wait_until

LATER = b"\x9a\x7f" + golden_visitors()[0].blob[2:]
"""A state of format 127."""
REFUSAL = f"visitor blob has format 127, this version reads up to {FORMAT_WITH_EXTRA}"


def test_a_state_of_a_later_format_is_refused() -> None:
    with pytest.raises(ValueError, match=REFUSAL):
        unpack_visitor(LATER)


def test_a_worker_ends_and_leaves_it_as_it_is(
    make_installation: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_installation(partitions=1)
    keys, redis = Keys(settings.namespace, 1), Redis.from_url(settings.redis_url)
    redis.set(keys.visitor("u1"), LATER)
    producer = make_producer(settings)
    event = Event("e1", EventType.VIEW, 1_748_854_800_000, "u1", "p1")
    producer.produce(Topics(settings.topic_prefix).of(EventType.VIEW), encode(event), b"u1")
    assert producer.flush(30) == 0
    supervisor = WorkerSupervisor(settings, tmp_path)
    worker = supervisor.add()
    try:
        wait_until(lambda: len(supervisor.exits) > 0, 60, "the worker to end")
    finally:
        supervisor.close()
    assert supervisor.exits[0] == (worker.name, 1)
    assert REFUSAL in worker.log_path.read_text()
    assert redis.get(keys.visitor("u1")) == LATER
    assert not redis.hexists(keys.meta(0), "applied")
    redis.close()
