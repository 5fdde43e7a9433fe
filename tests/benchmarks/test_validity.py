"""A measurement of scoring counts only if visitors were scored; figures stand beside their aims."""

import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rich.console import Console

from benchmarks.aims import Aim
from benchmarks.delay import DelayRow
from benchmarks.heartbeats import Scored, await_model, measure_scored, share_scored
from benchmarks.tables import show_delay
from benchmarks.throughput import Row, ratios, speeds
from contracts.heartbeat import NEXT_ACTION, Heartbeat, SlotReport
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.child import Child
from services import unique_settings

LATER_MS = 2**52
"""A heartbeat of this time is newer than any question."""


def make_beat(worker_id: str = "w1", **fields: Any) -> Heartbeat:
    beat = Heartbeat(worker_id, LATER_MS, 1, 0.0, 0.0, 0.0, 1, (0,), 1, model="m-1", scoring="ok")
    return beat._replace(**fields)


def make_row(key: str, events_per_s: float, scored: float = math.nan) -> Row:
    return Row(key, key, 1, events_per_s, events_per_s, events_per_s, 1.0, 1.0, scored)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return unique_settings("127.0.0.1:1", redis_url)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A process that stands for a worker."""
    child = Child("worker", [sys.executable, "-c", "input()"], tmp_path / "log")
    child.start()
    yield child
    child.kill()


def say(client: Redis, settings: Settings, beat: Heartbeat) -> None:
    keys = Keys(settings.namespace, settings.partitions)
    client.hset(keys.worker(beat.worker_id), mapping=dict[Any, Any](beat.to_hash()))
    client.zadd(keys.workers(), {beat.worker_id: beat.at_ms})


def test_the_share_scored_is_of_all_workers_together() -> None:
    beats = [make_beat("w1", scored=60, skipped=0), make_beat("w2", scored=20, skipped=20)]
    assert share_scored(beats) == 0.8
    assert math.isnan(share_scored([make_beat()]))


def test_a_worker_that_scored_is_measured(settings: Settings, child: Child) -> None:
    with Redis.from_url(settings.redis_url) as client:
        slot = SlotReport(NEXT_ACTION, "m-1", "ok", 14, 6, (), {"other": 4, "superseded": 1})
        say(client, settings, make_beat(scored=14, skipped=6, slots=(slot,)))
        await_model(client, settings, child)
        scored = measure_scored(client, settings, child)
        assert scored == Scored(0.7, {"other": 0.2, "superseded": 0.05})


def test_only_those_unscored_though_there_was_time_make_a_measurement_invalid() -> None:
    def say_of(scored: Scored) -> str:
        text = io.StringIO()
        show_delay(Console(file=text, width=160), [DelayRow("ours", 1.0, 1, 1, 1, 1, 1, 1.0, 1.0, scored)])
        return text.getvalue()

    meant = say_of(Scored(0.7, {"other": 0.2, "superseded": 0.1}))
    assert "30.00% of the visitors were left out for want of time (20.00% other, 10.00% superseded)" in meant
    assert "no valid measurement" not in meant
    assert "10.00% of the visitors were unscored though there was time" in say_of(Scored(0.7, {"other": 0.2}))
    assert "visitors were" not in say_of(Scored(1.0, {}))


def test_a_worker_that_scored_nobody_is_an_error_that_says_why(settings: Settings, child: Child) -> None:
    with Redis.from_url(settings.redis_url) as client:
        say(client, settings, make_beat(scoring="the model failed: OSError", skipped=7))
        with pytest.raises(RuntimeError, match=r"OSError, 0 scored, 7 skipped\), so this"):
            measure_scored(client, settings, child)


def test_a_worker_that_ends_without_a_model_is_an_error(settings: Settings, child: Child) -> None:
    child.kill()
    with (
        Redis.from_url(settings.redis_url) as client,
        pytest.raises(RuntimeError, match=r"no model to score with \(no heartbeat"),
    ):
        await_model(client, settings, child)


def test_figures_are_judged_by_their_aims() -> None:
    assert Aim("c/b", 8.0, 8.0).reached
    assert not Aim("c/b", 7.9, 8.0).reached
    assert Aim("p99", 250.0, 250.0, " ms", at_most=True).reached
    assert not Aim("p99", 251.0, 250.0, " ms", at_most=True).reached
    assert not Aim("p99", math.nan, 250.0, " ms", at_most=True).reached
    assert Aim("s/c", 0.4, None).reached
    assert Aim("p99", 1.0, 250.0, " ms", at_most=True).words == "aim: at most 250 ms"
    assert Aim("s", 1.0, 10_000.0, " events/s").words == "aim: at least 10,000 events/s"
    assert Aim("s/c", 0.4, None).words == ""


def test_ratios_are_of_contenders_that_ran() -> None:
    rows = [make_row("a", 100.0), make_row("c", 50.0), make_row("s", 20.0, 1.0)]
    assert {ratio.name: ratio.value for ratio in ratios(rows)} == {"c/a": 0.5, "s/c": 0.4}


@pytest.mark.parametrize(("scored", "judged"), [(1.0, True), (0.999, False), (math.nan, False)])
def test_a_run_that_left_visitors_unscored_is_not_judged(scored: float, judged: bool) -> None:
    assert bool(speeds([make_row("s", 20_000.0, scored)])) is judged
