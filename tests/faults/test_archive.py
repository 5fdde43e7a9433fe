"""The archive beside real Kafka, Redis and workers: killed at random, and asked to forget."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.settings import Settings
from contracts.topics import Topics
from ops.audit.archive import archive_differences
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Load, Traffic, make_producer
from ops.stack.child import Child
from ops.stack.record import settings_environment
from services import wait_until
from sources.archive import Manifest, find_manifest, open_store

MakeInstallation = Callable[..., Settings]
OpenSystem = Callable[..., SystemUnderTest]
DEVICE, CUSTOMER, STAYING = "device-that-goes", "customer-that-goes", "visitor-that-stays"


def archive_child(settings: Settings, log: Path) -> Child:
    argv = [sys.executable, "-P", "-m", "ops.cli", "archive"]
    return Child("archive", argv, log, env=settings_environment(settings))


def archive_once(settings: Settings) -> None:
    argv = [sys.executable, "-P", "-m", "ops.cli", "archive", "--once"]
    subprocess.run(argv, env={**os.environ, **settings_environment(settings)}, check=True, timeout=120)


def manifest_of(settings: Settings) -> Manifest | None:
    return find_manifest(open_store(settings.archive))


def texts_of(folder: str) -> dict[str, str]:
    """Everything that each file under a folder says: its bytes, and its rows unpacked."""
    texts = {}
    for path in Path(folder).rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            rows = pl.read_parquet(BytesIO(raw)).rows() if path.suffix == ".parquet" else ()
            texts[str(path)] = raw.decode("utf-8", "replace") + repr(rows)
    return texts


def test_an_archive_that_is_killed_again_and_again_has_each_record_once(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    draw = random.Random(5)
    settings = make_installation(partitions=4, archive=str(tmp_path / "archive"), archive_flush_s=0.2)
    traffic = Traffic(settings, Load(events_per_s=3_000), seed=5)
    traffic.start()
    child = archive_child(settings, tmp_path / "archive.log")
    began_s, kills = time.monotonic(), 0
    while kills < 6 or time.monotonic() - began_s < 15:
        generation = getattr(manifest_of(settings), "generation", 0)
        child.start()
        wait_until(
            lambda before=generation: getattr(manifest_of(settings), "generation", 0) > before + 2,  # type: ignore[misc]
            60,
            "the archive to write",
        )
        time.sleep(draw.uniform(0.0, 0.5))
        child.kill()
        kills += 1
    traffic.finish()
    archive_once(settings)
    assert archive_differences(settings, traffic.send_log.frame()) == []


def send(settings: Settings, at_ms: int, visit: int) -> None:
    """A device that logs in, and somebody else."""
    topics, producer = Topics(settings.topic_prefix), make_producer(settings)
    for user, customer in ((DEVICE, CUSTOMER), (STAYING, None)):
        for step, kind in enumerate((EventType.VIEW, EventType.CART, EventType.PURCHASE)):
            event = Event(f"{user}-{visit}-{step}", kind, at_ms + step, user, "p1", customer_id=customer)
            producer.produce(topics.of(kind), encode(event), user.encode())
    assert producer.flush(30) == 0


def await_rows(settings: Settings, rows: int) -> None:
    def has_rows() -> bool:
        manifest = manifest_of(settings)
        return manifest is not None and manifest.rows >= rows

    wait_until(has_rows, 60, f"{rows} rows in the archive")


def delete(settings: Settings, user: str, timeout_s: int) -> dict[str, Any]:
    """How far the deletion of somebody is after so long; it is begun if it was not."""
    argv = [sys.executable, "-P", "-m", "ops.cli", "privacy", "delete", user, "--timeout", str(timeout_s)]
    env = {**os.environ, **settings_environment(settings)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def test_a_deletion_waits_for_the_archive_and_leaves_no_trace_in_any_file(
    open_shop: OpenSystem, tmp_path: Path
) -> None:
    folder = str(tmp_path / "archive")
    system = open_shop(workers=1, scoring=False, archive=folder, archive_flush_s=0.3)
    settings = system.settings
    yesterday_ms = wall_clock_ms() - 86_400_000 * 2
    send(settings, yesterday_ms, 1)
    system.await_that(lambda: system.counter("applied") == 6, 60, "the events to be applied")
    archive = system.archive
    assert archive is not None
    await_rows(settings, 6)
    send(settings, wall_clock_ms(), 2)
    await_rows(settings, 12)
    assert any(DEVICE in text for text in texts_of(folder).values())
    archive.kill()
    assert delete(settings, CUSTOMER, 5)["status"] == "removing", "it waits for the archive"
    archive.start()
    done = delete(settings, CUSTOMER, 90)
    assert done["status"] == "done"
    (proof,) = done["archives"]
    assert (proof["location"], proof["rows_left"]) == (folder, 0)
    assert proof["files_searched"] >= 1
    assert [path for path, text in texts_of(folder).items() if DEVICE in text or CUSTOMER in text] == []
    before = manifest_of(settings)
    assert before is not None
    assert before.rows == 6, "the other's rows stay"
    send(settings, yesterday_ms, 3)  # as an import of an old file
    await_rows(settings, 9)
    system.finish_archive()
    manifest = manifest_of(settings)
    assert manifest is not None
    assert manifest.rows == 9
    assert [path for path, text in texts_of(folder).items() if DEVICE in text or CUSTOMER in text] == []
