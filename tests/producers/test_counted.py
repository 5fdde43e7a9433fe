"""What a replay says of what the stream made of its events, with a real stack."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.events import Event, EventType, encode
from ops.stack.options import StackOptions
from ops.stack.stack import Stack
from services import wait_until

START_MS = 1_600_000_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One for all tests, each of which has visitors of its own."""
    with Stack(StackOptions(state=tmp_path_factory.mktemp("stack") / "state")) as stack:
        yield stack


def write_events(path: Path, user_id: str, count: int, *, begin: int = 0) -> Path:
    events = [
        Event(f"{user_id}-{n}", EventType.VIEW, START_MS + n * 1_000, user_id, "p")
        for n in range(begin, begin + count)
    ]
    path.write_bytes(b"\n".join([*map(encode, events), b"no event"]))
    return path


def replay(stack: Stack, path: Path, *options: str) -> str:
    command = [sys.executable, "-P", "-m", "ops.cli", "replay", str(path), "--state", str(stack.state)]
    env = {**os.environ, "COLUMNS": "200"}
    command += options
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(text: str) -> dict[str, str]:
    rows = [line.split("│")[1:3] for line in text.splitlines() if line.count("│") == 3]
    return {name.strip(): value.strip() for name, value in rows}


def test_a_replay_ends_with_what_was_counted_what_was_before_and_what_was_refused(
    stack: Stack, tmp_path: Path
) -> None:
    """The sender may have had to send again, which the stream drops as duplicates."""
    first = json.loads(replay(stack, write_events(tmp_path / "a.jsonl", "one", 300), "--json"))["stream"]
    assert first["waiting"] == 0
    assert (first["counts"]["applied"], first["counts"]["late"], first["counts"]["rejected"]) == (300, 0, 0)
    rows = rows_of(replay(stack, write_events(tmp_path / "b.jsonl", "one", 20, begin=290)))
    assert rows["counted by the stream"].split(";")[0] == "10"
    assert int(rows["duplicates"]) >= 10
    assert (rows["late"], rows["rejected by the stream"]) == ("0", "0")


def test_a_replay_into_a_shop_that_is_live_says_that_its_events_came_too_late(
    stack: Stack, tmp_path: Path
) -> None:
    event = {"event_type": "view", "user_id": "two", "product_id": "p"}
    assert httpx.post(f"{stack.api_url}/v1/events", json=event).status_code == 202
    known = f"{stack.api_url}/v1/users/two"
    wait_until(lambda: httpx.get(known).status_code == 200, 60, "the event of now")
    rows = rows_of(replay(stack, write_events(tmp_path / "a.jsonl", "two", 7)))
    assert rows["counted by the stream"] == "0"
    assert rows["late"].startswith("7: over STOREPULSE_LATENESS_MS older")


def test_while_the_worker_does_nothing_a_replay_says_how_many_events_wait(
    stack: Stack, tmp_path: Path
) -> None:
    (worker,) = stack.workers
    worker.child.suspend()
    try:
        found: Any = json.loads(replay(stack, write_events(tmp_path / "a.jsonl", "three", 7), "--json"))
        more = write_events(tmp_path / "b.jsonl", "three", 3, begin=7)
        rows = rows_of(replay(stack, more, "--max-lag", "0", "--again"))
    finally:
        worker.child.resume()
    assert found["stream"]["waiting"] == 7
    assert rows["counted by the stream"].startswith("unknown: Redis was not asked")
