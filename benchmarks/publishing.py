"""What publishing recommendations costs a worker: a backlog and live events, with and without, in turns."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

from benchmarks.delay import DelayRow, measure_delay
from benchmarks.race import START_TIMEOUT_S, Lap, cpu_s, measure_lap, start_contender
from benchmarks.services import (
    Services,
    create_topics,
    drop_state,
    drop_topics,
    empty_followed_topics,
    make_settings,
    with_fresh_state,
)
from benchmarks.throughput import CONTENDERS
from contracts.settings import Settings
from ops.api_client.health import answers
from ops.stack.child import Child
from ops.stack.ports import LOOPBACK, pick_port
from ops.stack.record import settings_environment

BACKLOG_INTERVAL_S = 1.0
"""In a backlog, which is over in seconds: all are made that can be."""
LIVE_INTERVAL_S = 10.0
_WORKER = next(contender for contender in CONTENDERS if contender.key == "s")
_MADE = re.compile(r'storepulse_publish_visitors_total{result="(\w+)"} ([0-9.e+]+)')


@dataclass(frozen=True, slots=True)
class PublishingRow:
    """A worker that scores, medians of all runs; lists are those of the live part."""

    title: str
    events_per_s: float
    """In a backlog."""
    backlog_cpu_us: float
    p50_ms: float
    p99_ms: float
    live_cpu_us: float
    redis_cpu_us: float
    lists_per_s: float
    records_per_s: float
    list_cpu_us: float
    """Of the publisher, its start and what it reads of sessions included."""


class Meter:
    """What a publisher has made, and its CPU; nothing without one."""

    def __init__(self, child: Child | None, port: int) -> None:
        self._child, self._port = child, port
        self.made: dict[str, float] = {}
        self.cpu_s = 0.0

    def read(self) -> None:
        """Take both as of now."""
        if self._child is not None:
            with urlopen(f"http://{LOOPBACK}:{self._port}/metrics", timeout=10) as answer:
                self.made = {name: float(n) for name, n in _MADE.findall(answer.read().decode())}
            self.cpu_s = cpu_s(self._child.pid)


def measure_publishing(
    services: Services,
    shop: Settings,
    *,
    events: int,
    runs: int,
    rate: int,
    seconds: int,
    note: Callable[[str], None],
) -> list[PublishingRow]:
    """Both without and with, in turns, `runs` times. `shop` has `events` in its log."""
    laps: dict[bool, list[Lap]] = {False: [], True: []}
    live: dict[bool, list[tuple[DelayRow, Meter]]] = {False: [], True: []}
    for run in range(1, runs + 1):
        for is_on in (False, True):
            laps[is_on].append(_run_backlog(services, shop, events, is_on=is_on))
            live[is_on].append(_run_live(services, rate, seconds, is_on=is_on))
            row, meter = live[is_on][-1]
            note(
                f"run {run}/{runs}, {_title(is_on)}: {laps[is_on][-1].events_per_s:,.0f} events/s, live p50 "
                f"{row.p50_ms:.0f} p99 {row.p99_ms:.0f} ms, CPU {row.cpu_us:.1f} us, lists {meter.made}"
            )
    return [_row(_title(is_on), laps[is_on], live[is_on], rate) for is_on in (False, True)]


def _title(is_on: bool) -> str:
    return "published" if is_on else "not published"


def _run_backlog(services: Services, shop: Settings, events: int, *, is_on: bool) -> Lap:
    fields: dict[str, float] = {"scoring": True, "scoring_budget_ms": 0}
    if is_on:
        fields |= {"recommendation_interval_s": BACKLOG_INTERVAL_S, "publish_port": pick_port()}
    settings = with_fresh_state(shop.model_copy(update=fields))
    empty_followed_topics(settings)
    worker = start_contender(services, settings, _WORKER.module)
    try:
        with _publisher(services, settings):
            return measure_lap(services, settings, [worker], events)
    finally:
        worker.kill()
        drop_state(services, settings)


def _run_live(services: Services, rate: int, seconds: int, *, is_on: bool) -> tuple[DelayRow, Meter]:
    settings = make_settings(
        services, scoring=True, publish_port=pick_port(),
        recommendation_interval_s=LIVE_INTERVAL_S if is_on else 0.0,
    )  # fmt: skip
    create_topics(settings)
    with _publisher(services, settings) as meter:
        row = measure_delay(
            services, settings, _WORKER, rate=rate, seconds=seconds, progress=lambda _: None,
            at_end=lambda _: meter.read(),
        )  # fmt: skip
    drop_topics(settings)
    return row, meter


@contextmanager
def _publisher(services: Services, settings: Settings) -> Iterator[Meter]:
    """A publisher, where there is an interval, until the block ends."""
    if not settings.recommendation_interval_s:
        yield Meter(None, 0)
        return
    argv = [sys.executable, "-P", "-m", "ops.cli", "publish"]
    log = services.folder / f"publish-{settings.namespace}.log"
    child = Child("publish", argv, log, env=settings_environment(settings))
    child.start()
    try:
        url = f"http://{LOOPBACK}:{settings.publish_port}/livez"
        child.await_ready(lambda: answers(url), START_TIMEOUT_S)
        yield Meter(child, settings.publish_port)
    finally:
        child.kill()


def _row(title: str, laps: Sequence[Lap], live: Sequence[tuple[DelayRow, Meter]], rate: int) -> PublishingRow:
    made = [sum(meter.made.values()) for _, meter in live]
    published = [meter.made.get("published", 0.0) for _, meter in live]
    sent_s = [row.events / rate for row, _ in live]
    spent_s = sum(meter.cpu_s for _, meter in live)
    return PublishingRow(
        title,
        median(lap.events_per_s for lap in laps),
        median(lap.cpu_us for lap in laps),
        median(row.p50_ms for row, _ in live),
        median(row.p99_ms for row, _ in live),
        median(row.cpu_us for row, _ in live),
        median(row.redis_cpu_us for row, _ in live),
        sum(made) / sum(sent_s),
        sum(published) / sum(sent_s),
        spent_s / sum(made) * 1e6 if sum(made) else 0.0,
    )


def show_publishing(console: Console, rows: Sequence[PublishingRow]) -> None:
    """A row each with and without."""
    table = Table(title="A worker that scores, medians; lists are those of the live part")
    table.add_column("recommendations")
    for name in (
        "backlog events/s", "CPU us/event", "live p50 ms", "p99 ms", "CPU us/event", "Redis CPU us/event",
        "lists/s", "records/s", "publisher CPU us/list",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.title, f"{row.events_per_s:,.0f}", f"{row.backlog_cpu_us:.1f}", f"{row.p50_ms:.0f}",
            f"{row.p99_ms:.0f}", f"{row.live_cpu_us:.1f}", f"{row.redis_cpu_us:.1f}",
            f"{row.lists_per_s:.0f}", f"{row.records_per_s:.0f}", f"{row.list_cpu_us:.0f}",
        )  # fmt: skip
    console.print(table)
