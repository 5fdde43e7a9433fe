"""The command line of the benchmarks: `python -m benchmarks [throughput|scaling|delay|memory|core|profile]`."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from benchmarks import core as core_bench
from benchmarks import tables, throughput as throughput_bench
from benchmarks.machine import describe_machine
from benchmarks.services import Services, create_topics, make_settings, running_services
from benchmarks.shop_log import make_events, preload
from contracts.settings import Settings

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=False)
console = Console()

Runs = Annotated[int, typer.Option(min=1, help="Runs of each contender; medians are shown")]
Events = Annotated[int, typer.Option(min=1_000, help="Events in the log")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file")]
Keys = Annotated[str, typer.Option(help="Contenders to run, by their letters")]


@app.command()
def core(events: Events = 200_000, json: JsonFile = None) -> None:
    """Microseconds per event of each pure step; needs no services."""
    settings = Settings()
    tables.show_machine(console, machine := describe_machine())
    rows = []
    for batch in (4_000, 400, 40, 8):
        with console.status(f"{batch} events per commit"):
            rows.append(core_bench.measure_core(settings, events=events, batch=batch))
    blobs = core_bench.measure_blobs(settings, events=events)
    tables.show_core(console, rows, blobs)
    write_json(json, machine, {"core": [asdict(row) | {"total_us": row.total_us} for row in rows]})


@app.command()
def throughput(
    runs: Runs = 3, events: Events = 400_000, contenders: Keys = "abcde", json: JsonFile = None
) -> None:
    """Events per second of ours, the floor, stock Faust and the same job on two other frameworks."""
    with running_services() as services:
        machine = show_services(services)
        shop = prepare(services, events)
        rows = throughput_bench.measure(
            services, shop, events=events, runs=runs, keys=contenders, note=console.log
        )
        ratios = throughput_bench.ratios(rows)
        tables.show_throughput(console, rows, ratios)
    write_json(
        json, machine, {"throughput": [asdict(r) for r in rows], "ratios": {r.name: r.value for r in ratios}}
    )


def show_services(services: Services) -> dict[str, str]:
    """Print and give the machine line, with the version of the running Redis."""
    version: Any = services.client.info("server")["redis_version"]
    machine = describe_machine(version)
    tables.show_machine(console, machine)
    return machine


def prepare(services: Services, events: int, **overrides: object) -> Settings:
    """An installation whose topics hold the shop's log, its last event about now."""
    settings = make_settings(services, **overrides)
    create_topics(settings)
    first_ms = time.time_ns() // 1_000_000 - events
    with tables.progress_bar(console, f"writing {events:,} events to Kafka", events) as advance:
        preload(settings, make_events(events, first_ms=first_ms, step_ms=1.0, seed=7), progress=advance)
    return settings


def write_json(path: Path | None, machine: dict[str, str], figures: dict[str, Any]) -> None:
    """Write machine and figures, if a file was asked for."""
    if path is not None:
        path.write_bytes(orjson.dumps({"machine": machine} | figures, option=orjson.OPT_INDENT_2))


def main() -> None:
    """Entry of `python -m benchmarks`."""
    app()
