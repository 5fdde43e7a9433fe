"""The command line: `python -m benchmarks [COMMAND]`, `--help` lists them; without one, everything."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from benchmarks import tables
from benchmarks.machine import describe_machine
from benchmarks.runs import (
    ALERTS_CONTENDERS,
    DELAY_CONTENDERS,
    Figures,
    console,
    run_alerts,
    run_api,
    run_calls,
    run_core,
    run_delay,
    run_item_rates,
    run_jobs,
    run_load,
    run_memory,
    run_profile,
    run_publishing,
    run_recommendations,
    run_recommendations_api,
    run_recommendations_fresh,
    run_scaling,
    run_scoring,
    run_throughput,
    run_webhooks,
)
from benchmarks.services import Services, running_services

app = typer.Typer(add_completion=False, help=__doc__, invoke_without_command=True)

Runs = Annotated[int, typer.Option(min=1, help="Runs of each contender; medians are shown")]
Events = Annotated[int, typer.Option(min=1_000, help="Events in the log")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file")]
Letters = Annotated[str, typer.Option(help="Contenders to run, by their letters")]
Rate = Annotated[int, typer.Option(min=100, help="Events per second sent")]
Seconds = Annotated[int, typer.Option(min=5, help="Measured seconds")]
Scoring = Annotated[bool, typer.Option("--scoring", help="Let the worker score every visitor")]
Visitors = Annotated[int, typer.Option(min=30_000, help="Visitors in all")]

RUNS = 3
EVENTS = 400_000
VISITORS = 360_000
CONTENDERS = "abcsmhde"
SCORING_RUNS = 7
CALLS_RUNS = 31
DELAY_RATE, ALERTS_RATE, DELAY_SECONDS = 5_000, 2_000, 20


@app.callback()
def default(context: typer.Context) -> None:
    """Speed, scaling, delay, memory and profile on real Kafka and Redis; without a command, all of them."""
    if context.invoked_subcommand is None:
        everything(RUNS, EVENTS, None)


@app.command()
def throughput(
    runs: Runs = RUNS, events: Events = EVENTS, contenders: Letters = CONTENDERS, json: JsonFile = None
) -> None:
    """Events per second: the floor, stock Faust, ours, and the same job on two other frameworks."""
    _run_on_services(json, lambda services: run_throughput(services, runs, events, contenders))


@app.command()
def scaling(runs: Runs = RUNS, events: Events = EVENTS, json: JsonFile = None) -> None:
    """Two workers against one."""
    _run_on_services(json, lambda services: run_scaling(services, runs, events))


@app.command()
def delay(
    rate: Rate = DELAY_RATE,
    seconds: Seconds = DELAY_SECONDS,
    contenders: Letters = DELAY_CONTENDERS,
    json: JsonFile = None,
) -> None:
    """Broker timestamp to visible in Redis under a paced stream, p50 and p99."""
    _run_on_services(json, lambda services: run_delay(services, rate, seconds, contenders))


@app.command()
def alerts(
    runs: Runs = RUNS,
    rate: Rate = ALERTS_RATE,
    seconds: Seconds = DELAY_SECONDS,
    contenders: Letters = ALERTS_CONTENDERS,
    json: JsonFile = None,
) -> None:
    """Event to the alert it fires, readable in Kafka, under a paced stream, p50 and p99."""
    _run_on_services(json, lambda services: run_alerts(services, runs, rate, seconds, contenders))


@app.command()
def load(rate: Rate = DELAY_RATE, seconds: Seconds = DELAY_SECONDS, json: JsonFile = None) -> None:
    """Delay of a worker that scores beside one that counts, overloaded too, and from event to alert."""
    _run_on_services(json, lambda services: run_load(services, rate, ALERTS_RATE, seconds))


@app.command()
def jobs(
    runs: Runs = RUNS,
    rate: Rate = ALERTS_RATE,
    seconds: Seconds = DELAY_SECONDS,
    json: JsonFile = None,
) -> None:
    """Delay of commits while a job of 100 ms is at work, relative to that while it rests."""
    _run_on_services(json, lambda services: run_jobs(services, runs, rate, seconds))


@app.command()
def api(runs: Runs = RUNS, json: JsonFile = None) -> None:
    """Requests per second and p99 of the API against bare FastAPI routes."""
    _run_on_services(json, lambda services: run_api(services, runs))


@app.command()
def recommendations_api(
    per_s: Annotated[float, typer.Option(min=1, help="Questions per second")] = 1_000,
    rate: Rate = ALERTS_RATE,
    seconds: Seconds = DELAY_SECONDS,
    json: JsonFile = None,
) -> None:
    """Time of an answer of /v1/recommendations beside a worker that applies live events."""
    _run_on_services(json, lambda services: run_recommendations_api(services, per_s, rate, seconds))


@app.command()
def recommendations_fresh(
    rate: Rate = ALERTS_RATE, seconds: Seconds = DELAY_SECONDS, json: JsonFile = None
) -> None:
    """Time from a click to recommendations that have its product, beside live events."""
    _run_on_services(json, lambda services: run_recommendations_fresh(services, rate, seconds))


@app.command()
def publishing(
    runs: Runs = RUNS,
    events: Events = EVENTS,
    rate: Rate = ALERTS_RATE,
    seconds: Seconds = DELAY_SECONDS,
    json: JsonFile = None,
) -> None:
    """A worker that scores, with and without its visitors' recommendations being published."""
    _run_on_services(json, lambda services: run_publishing(services, runs, events, rate, seconds))


@app.command()
def webhooks(seconds: Seconds = DELAY_SECONDS, json: JsonFile = None) -> None:
    """Alert in Redis to its arrival at a healthy receiver, alone and beside ten bad ones."""
    _run_on_services(json, lambda services: run_webhooks(services, seconds))


@app.command()
def memory(visitors: Visitors = VISITORS, scoring: Scoring = False, json: JsonFile = None) -> None:
    """Memory per 100,000 visitors who stay, and its bound while ever-new ones pass by."""
    _run_on_services(json, lambda services: run_memory(services, visitors, scoring))


@app.command()
def profile(
    seconds: Seconds = 8,
    events: Events = 600_000,
    top: Annotated[int, typer.Option(help="Functions shown")] = 30,
    scoring: Scoring = False,
    json: JsonFile = None,
) -> None:
    """Where the worker's time goes: sampled stacks of a worker under load, and Redis' command times."""
    _run_on_services(json, lambda services: run_profile(services, seconds, events, top, scoring))


@app.command()
def core(events: Events = 100_000, json: JsonFile = None) -> None:
    """Microseconds per event of each pure step; needs no services."""
    tables.show_machine(console, machine := describe_machine())
    write_json(json, machine, run_core(events))


@app.command()
def scoring(runs: Runs = SCORING_RUNS, json: JsonFile = None) -> None:
    """Microseconds per visitor scored, and onnxruntime against torch; needs no services."""
    tables.show_machine(console, machine := describe_machine())
    write_json(json, machine, run_scoring(runs))


@app.command()
def calls(runs: Runs = CALLS_RUNS, json: JsonFile = None) -> None:
    """Microseconds per visitor by how much padding a call of the model may have; needs no services."""
    tables.show_machine(console, machine := describe_machine())
    write_json(json, machine, run_calls(runs))


@app.command()
def recommendations(
    sessions: Annotated[int, typer.Option(min=1_000, help="Sessions in the index")] = 1_000_000,
    products: Annotated[int, typer.Option(min=1_000, help="Products of the shop")] = 50_000,
    json: JsonFile = None,
) -> None:
    """CPU microseconds of a recommendation, p50 and p99, and memory of the index; needs no services."""
    tables.show_machine(console, machine := describe_machine())
    write_json(json, machine, run_recommendations(sessions, products))


@app.command()
def item_rates(
    events: Annotated[Path, typer.Option(exists=True, help="File of events")],
    model: Annotated[Path | None, typer.Option(help="Folder of a model that reads rates")] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions")] = 12,
    json: JsonFile = None,
) -> None:
    """Rates of items as a worker knows them against those of training, and what a model says given either."""
    tables.show_machine(console, machine := describe_machine())
    write_json(json, machine, run_item_rates(events, model, partitions))


@app.command()
def everything(runs: Runs = RUNS, events: Events = EVENTS, json: JsonFile = None) -> None:
    """All of it in one run on one Kafka and one Redis."""

    def run(services: Services) -> Figures:
        figures = run_core(100_000)
        figures |= run_scoring(SCORING_RUNS)
        figures |= run_throughput(services, runs, events, CONTENDERS)
        figures |= run_scaling(services, runs, events)
        figures |= run_delay(services, DELAY_RATE, DELAY_SECONDS, DELAY_CONTENDERS)
        figures |= run_load(services, DELAY_RATE, ALERTS_RATE, DELAY_SECONDS)
        figures |= run_alerts(services, runs, ALERTS_RATE, DELAY_SECONDS, ALERTS_CONTENDERS)
        figures |= run_jobs(services, 1, ALERTS_RATE, DELAY_SECONDS)
        figures |= run_api(services, runs)
        figures |= run_webhooks(services, DELAY_SECONDS)
        figures |= run_memory(services, VISITORS, False)
        return figures | run_profile(services, 8, events, 20, False)

    _run_on_services(json, run)


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
