"""Real services for tests: where they come from, and waiting for what they do."""

import os
import time
import uuid
from collections.abc import Callable
from typing import NoReturn

import pytest
from kafka.errors import KafkaError
from redis import Redis
from redis.exceptions import RedisError

from contracts.settings import Settings
from ops.stack.topics import TopicsError, delete_topics, ensure_topics


def wait_until(predicate: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until `predicate` holds; fails the test with `what` was awaited when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s:g} s for {what}")
        time.sleep(0.02)


def lack(reason: str) -> NoReturn:
    """Skip the test for want of a service; with REQUIRE_SERVICES=1 that is a failure instead."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def unique_settings(bootstrap: str, redis_url: str, **overrides: object) -> Settings:
    """Settings of an installation of its own: namespace, topic prefix and group are unique.

    Its workers score everybody, however busy the machine is.
    """
    name = f"t{uuid.uuid4().hex[:10]}"
    fields: dict[str, object] = {
        "bootstrap": bootstrap,
        "redis_url": redis_url,
        "namespace": name,
        "topic_prefix": f"{name}.",
        "group": name,
        "scoring_budget_ms": 0,
    }
    return Settings.model_validate(fields | overrides)


def install(settings: Settings, *, embedded: bool = False) -> Settings:
    """Create the topics; the settings come back with the partition count the broker has."""
    return settings.model_copy(update={"partitions": ensure_topics(settings, embedded=embedded)})


def uninstall(settings: Settings, *, topics: bool = True) -> None:
    """Delete the installation's keys and topics; a service that is gone already is no error."""
    try:
        if topics:
            delete_topics(settings)
    except (KafkaError, TopicsError):
        pass
    client = Redis.from_url(settings.redis_url, socket_connect_timeout=1.0)
    try:
        keys = list(client.scan_iter(match=f"{settings.namespace}:*", count=1_000))
        if keys:
            client.unlink(*keys)
    except RedisError:
        pass
    finally:
        client.close()
