"""The command line: `python -m benchmarks [throughput|scaling|delay|memory|core|profile|everything]`."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from benchmarks import core as core_bench
from benchmarks import delay as delay_bench
from benchmarks import memory as memory_bench
from benchmarks import profile as profile_bench
from benchmarks import scaling as scaling_bench
from benchmarks import tables
from benchmarks import throughput as throughput_bench
from benchmarks.machine import describe_machine
from benchmarks.services import Services, create_topics, drop_topics, make_settings, running_services
from benchmarks.shop_log import make_events, preload
from contracts.settings import Settings

app = typer.Typer(add_completion=False, help=__doc__, invoke_without_command=True)
console = Console()

Runs = Annotated[int, typer.Option(min=1, help="Runs of each contender; medians are shown")]
Events = Annotated[int, typer.Option(min=1_000, help="Events in the log")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file")]
Letters = Annotated[str, typer.Option(help="Contenders to run, by their letters")]
Rate = Annotated[int, typer.Option(min=100, help="Events per second sent")]
Seconds = Annotated[int, typer.Option(min=5, help="Measured seconds")]
Visitors = Annotated[int, typer.Option(min=30_000, help="Visitors in all")]
Figures = dict[str, Any]

RUNS = 3
EVENTS = 400_000
VISITORS = 360_000
DELAY_TITLES = {"c": ("storepulse_worker", "Storepulse worker"), "d": ("bytewax_job", "bytewax"),
                "e": ("quixstreams_job", "quixstreams")}  # fmt: skip
CORE_BATCHES = (4_000, 400, 40, 8)


@app.callback()
def default(context: typer.Context) -> None:
    """Speed, scaling, delay, memory and profile on real Kafka and Redis; without a command, all of them."""
    if context.invoked_subcommand is None:
        everything(RUNS, EVENTS, None)


@app.command()
def throughput(
    runs: Runs = RUNS, events: Events = EVENTS, contenders: Letters = "abcde", json: JsonFile = None
) -> None:
    """Events per second: the floor, stock Faust, ours, and the same job on two other frameworks."""
    _run_on_services(json, lambda services: run_throughput(services, runs, events, contenders))


@app.command()
def scaling(runs: Runs = RUNS, events: Events = EVENTS, json: JsonFile = None) -> None:
    """Two workers against one."""
    _run_on_services(json, lambda services: run_scaling(services, runs, events))


@app.command()
def delay(
    rate: Rate = 5_000, seconds: Seconds = 20, contenders: Letters = "cde", json: JsonFile = None
) -> None:
    """Broker timestamp to visible in Redis under a paced stream, p50 and p99."""
    _run_on_services(json, lambda services: run_delay(services, rate, seconds, contenders))


@app.command()
def memory(visitors: Visitors = VISITORS, json: JsonFile = None) -> None:
    """Memory per 100,000 visitors who stay, and its bound while ever-new ones pass by."""
    _run_on_services(json, lambda services: run_memory(services, visitors))


@app.command()
def profile(
    seconds: Seconds = 8,
    events: Events = 600_000,
    top: Annotated[int, typer.Option(help="Functions shown")] = 30,
    json: JsonFile = None,
) -> None:
    """Where the worker's time goes: sampled stacks of a worker under load, and Redis' command times."""
    _run_on_services(json, lambda services: run_profile(services, seconds, events, top))


@app.command()
def core(events: Events = 100_000, json: JsonFile = None) -> None:
    """Microseconds per event of each pure step; needs no services."""
    tables.show_machine(console, machine := describe_machine())
    write_json(json, machine, run_core(events))


@app.command()
def everything(runs: Runs = RUNS, events: Events = EVENTS, json: JsonFile = None) -> None:
    """All of it in one run on one Kafka and one Redis."""

    def run(services: Services) -> Figures:
        figures = run_core(100_000)
        figures |= run_throughput(services, runs, events, "abcde")
        figures |= run_scaling(services, runs, events)
        figures |= run_delay(services, 5_000, 20, "cde")
        figures |= run_memory(services, VISITORS)
        return figures | run_profile(services, 8, events, 20)

    _run_on_services(json, run)


def run_core(events: int) -> Figures:
    """Measure and show the pure steps."""
    rows = []
    for batch in CORE_BATCHES:
        with console.status(f"pure steps, {batch} events per commit"):
            rows.append(core_bench.measure_core(Settings(), events=events, batch=batch))
    blob = core_bench.measure_blobs(Settings(), events=events)
    tables.show_core(console, rows, blob)
    return {"core": [asdict(row) | {"total_us": row.total_us} for row in rows], "visitor": asdict(blob)}


def run_throughput(services: Services, runs: int, events: int, contenders: str) -> Figures:
    """Measure and show the contenders side by side."""
    shop = prepare(services, events)
    rows = throughput_bench.measure(
        services, shop, events=events, runs=runs, keys=contenders, note=console.log
    )
    drop_topics(shop)
    ratios = throughput_bench.ratios(rows)
    tables.show_throughput(console, rows, ratios)
    return {"throughput": [asdict(row) for row in rows], "ratios": {r.name: r.value for r in ratios}}


def run_scaling(services: Services, runs: int, events: int) -> Figures:
    """Measure and show one worker against two."""
    rows = scaling_bench.measure_scaling(
        services, lambda settings: fill(settings, events), events=events, runs=runs, note=console.log
    )
    ratio = throughput_bench.Ratio("two/one", rows[1].events_per_s / rows[0].events_per_s, 1.7)
    tables.show_scaling(console, rows, ratio, os.cpu_count() or 1)
    return {"scaling": [asdict(row) for row in rows], "two_to_one": ratio.value}


def run_delay(services: Services, rate: int, seconds: int, contenders: str) -> Figures:
    """Measure and show delays."""
    rows = []
    for key in contenders:
        module, title = DELAY_TITLES[key]
        settings = make_settings(services)
        create_topics(settings)
        total = rate * int(seconds + delay_bench.SETTLE_S)
        with tables.progress_bar(console, f"delay of {title}", total) as advance:
            rows.append(
                delay_bench.measure_delay(
                    services, settings, module, title, rate=rate, seconds=seconds, progress=advance
                )
            )
        drop_topics(settings)
    tables.show_delay(console, rows)
    return {"delay": [asdict(row) for row in rows]}


def run_memory(services: Services, visitors: int) -> Figures:
    """Measure and show memory."""
    rows = [
        memory_bench.measure_kept(services, visitors=visitors // 6, events_per_visitor=6, note=console.log),
        memory_bench.measure_passing(services, visitors=visitors, note=console.log),
    ]
    tables.show_memory(console, rows)
    return {
        "memory": [
            asdict(row) | {"worker_bytes": row.worker_bytes, "redis_bytes": row.redis_bytes} for row in rows
        ]
    }


def run_profile(services: Services, seconds: int, events: int, top: int) -> Figures:
    """Measure and show where the worker's time goes."""
    shop = prepare(services, events)
    with console.status(f"sampling the worker for {seconds} s"):
        found = profile_bench.measure_profile(services, shop, seconds=seconds)
    drop_topics(shop)
    tables.show_profile(console, found, top=top)
    return {"profile": asdict(found)}


def prepare(services: Services, events: int) -> Settings:
    """An installation whose topics hold the shop's log, its last event about now."""
    settings = make_settings(services)
    create_topics(settings)
    fill(settings, events)
    return settings


def fill(settings: Settings, events: int) -> None:
    """Write the shop's log: one event a millisecond, the last about now."""
    first_ms = time.time_ns() // 1_000_000 - events
    with tables.progress_bar(console, f"writing {events:,} events to Kafka", events) as advance:
        preload(settings, make_events(events, first_ms=first_ms, step_ms=1.0, seed=7), progress=advance)


def write_json(path: Path | None, machine: dict[str, str], figures: Figures) -> None:
    """Write machine and figures, if a file was asked for."""
    if path is not None:
        path.write_bytes(orjson.dumps({"machine": machine} | figures, option=orjson.OPT_INDENT_2))


def _run_on_services(json: Path | None, run: Callable[[Services], Figures]) -> None:
    console.log("starting Kafka and Redis")
    with running_services() as services:
        server: Any = services.client.info("server")
        tables.show_machine(console, machine := describe_machine(server["redis_version"]))
        write_json(json, machine, run(services))


def main() -> None:
    """Entry of `python -m benchmarks`."""
    app()
