"""`storepulse events tail` on a real Redis."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis

from api.resources.events.tail_publisher import Notice, TailPublisher
from api.resources.events.validation import ValidationContext, validate
from connections.asyncio_redis import open_redis_pool
from contracts.keys import Keys
from contracts.settings import Settings
from ops.events.tail import render_request
from ops.stack.record import settings_environment
from services import unique_settings, wait_until

NOW_MS = 1_760_000_000_000
EVENT = {
    "event_type": "purchase",
    "event_id": "e1",
    "user_id": "[red]u1[/red]",
    "product_id": "p1",
    "price": "19.90",
    "currency": "EUR",
    "quantity": 2,
}
REQUEST = {
    "received_at": "2025-10-09T08:53:20.250000+00:00",
    "request_id": "r1",
    "key_id": "",
    "dry_run": False,
    "accepted": 3,
    "duplicates": 1,
    "rejected": 1,
    "dropped": 0,
    "problem": {"code": "kafka.unavailable", "detail": "again"},
    "events": [EVENT],
    "errors": [{"index": 4, "code": "price.negative", "detail": "no", "event_id": "e5"}],
}


def test_a_request_is_told_in_a_line_per_event() -> None:
    begin = "2025-10-09 08:53:20.250Z  -           "
    assert [line.plain for line in render_request(REQUEST)] == [
        f"{begin}accepted    purchase          [red]u1[/red]  p1 x2  19.90 EUR  e1",
        f"{begin}rejected    [4] price.negative: no (event e5)",
        f"{begin}duplicates  1",
        f"{begin}problem     kafka.unavailable: again",
        f"{begin}and         2 more in request r1",
    ]


def tail(settings: Settings, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "ops.cli", "events", "tail", "--state", str(folder), *arguments],
        env=os.environ | settings_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def offer(settings: Settings, key_id: str) -> None:
    """What a process of the API does with an event of this key."""
    keys = Keys(settings.namespace, settings.partitions)
    async with open_redis_pool(settings) as redis:
        publisher = TailPublisher(redis, keys)
        validated = validate([EVENT], ValidationContext(NOW_MS, "EUR"))
        publisher.offer(Notice(NOW_MS, "r1", key_id, False, validated, None))
        assert publisher._task is not None
        await publisher._task


def test_only_events_of_the_key_are_shown_until_the_time_is_over(redis_url: str, tmp_path: Path) -> None:
    settings = unique_settings("127.0.0.1:1", redis_url)
    keys = Keys(settings.namespace, settings.partitions)
    watching = tail(settings, tmp_path, "--key-id", "k1", "--json", "--for", "4")
    with Redis.from_url(redis_url) as client:
        wait_until(lambda: client.zscore(keys.tail_watchers(), "k1") is not None, 30, "somebody to watch")
    for key_id in ("k2", "k1"):
        asyncio.run(offer(settings, key_id))
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0, err
    [request] = [json.loads(line) for line in out.splitlines()]
    assert (request["key_id"], request["events"][0]["event_id"]) == ("k1", "e1")
    assert "watching" in err


def test_without_redis_it_says_so(tmp_path: Path) -> None:
    settings = unique_settings("127.0.0.1:1", "redis://127.0.0.1:1/0")
    started = time.monotonic()
    watching = tail(settings, tmp_path)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 1, f"after {time.monotonic() - started:.0f} s: {err}"
    assert "storepulse up" in err
