"""The application of the command line: the groups of commands, and the commands that stand alone."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.cli import (
    alerts,
    archive,
    evaluate,
    events,
    keys,
    models,
    privacy,
    producers,
    products,
    recommendations,
    topics,
    train,
    webhooks,
)
from ops.cli.installation import EXIT_USAGE, find_kafka
from ops.extras import require_extras

app = typer.Typer(
    name="storepulse",
    help="Turns a shop's clickstream into decisions while the shopper is still there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
health_app = typer.Typer(
    help="Check the health of a running part; the exit code is the answer.", no_args_is_help=True
)
app.add_typer(health_app, name="health")
producers.register(app)
evaluate.register(app)
events.register(app)
alerts.register(app)
train.register(app)
models.register(app)
topics.register(app)
keys.register(app)
privacy.register(app)
products.register(app)
recommendations.register(app)
webhooks.register(app)
archive.register(app)

DEFAULT_STATE = Path(".storepulse")
StateOption = Annotated[
    Path, typer.Option("--state", help="Folder for data, logs and the record of running parts.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def up(
    broker: Annotated[
        str, typer.Option(help="embedded (in memory), kafka (real, on disk), or HOST:PORT.")
    ] = "embedded",
    redis: Annotated[str, typer.Option(help="embedded, or HOST:PORT.")] = "embedded",
    workers: Annotated[
        int, typer.Option(help="Number of workers; the embedded broker serves one.", min=0)
    ] = 1,
    state: StateOption = DEFAULT_STATE,
    api_port: Annotated[
        int | None, typer.Option(help="Port of the API; default: 8000 if it is free.", min=1, max=65_535)
    ] = None,
    learn: Annotated[bool, typer.Option("--learn", help="Also run the learner; give --archive too.")] = False,
    kafka_port: Annotated[
        int | None,
        typer.Option(help="Port of Kafka; default: the same in each run if it is free.", min=1, max=65_535),
    ] = None,
    redis_port: Annotated[
        int | None,
        typer.Option(help="Port of Redis; default: the same in each run if it is free.", min=1, max=65_535),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(help="Also keep events in this folder, or s3://...; default: STOREPULSE_ARCHIVE."),
    ] = None,
) -> None:
    """Run broker, Redis, workers, API and webhook deliverer here until Ctrl-C.

    Settings come from STOREPULSE_* variables and from the file .env here.
    """
    from rich.console import Console

    from ops.stack.options import StackOptions
    from ops.stack.up import run_stack

    if broker in ("embedded", "kafka"):
        require_extras("up", "local")
    if archive:
        require_extras("up --archive", "archive")
    if learn:
        require_extras("up --learn", "train")

    options = StackOptions(
        broker=broker,
        redis=redis,
        workers=workers,
        state=state,
        api_port=api_port,
        kafka_port=kafka_port,
        redis_port=redis_port,
        deliver=True,
        archive=archive,
        learn=learn,
    )
    raise typer.Exit(run_stack(options, Console()))


@app.command()
def demo(
    rate: Annotated[float, typer.Option(help="Simulated events per second.", min=0.1, max=2_000)] = 50.0,
    history: Annotated[int, typer.Option(help="Minutes of history to start with.", min=1, max=120)] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 1,
    duration: Annotated[
        float | None, typer.Option(help="Stop after this many seconds; default: at Ctrl-C.", min=1)
    ] = None,
    state: StateOption = DEFAULT_STATE,
    api_port: Annotated[
        int | None, typer.Option(help="Port of the page; default: 8000 if it is free.", min=1, max=65_535)
    ] = None,
) -> None:
    """Run a simulated shop through an embedded stack and show it here and on a page."""
    from rich.console import Console

    from ops.demo.demo import DemoOptions, run_demo

    require_extras("demo", "local")

    options = DemoOptions(rate, history, seed, duration, state, api_port)
    raise typer.Exit(run_demo(options, Console()))


@app.command()
def worker() -> None:
    """Run one worker in the foreground; settings come from STOREPULSE_* variables."""
    from contracts.settings import get_settings
    from ops.logs.setup import configure_logging
    from stream.worker import run

    settings = get_settings()
    configure_logging(settings)
    raise typer.Exit(run(settings))


@app.command()
def api(
    processes: Annotated[
        int | None, typer.Option(help="Processes sharing the port; 0: one per core.", min=0, max=256)
    ] = None,
) -> None:
    """Run the API in the foreground; settings come from STOREPULSE_* variables."""
    from contracts.settings import get_settings
    from ops.logs.setup import configure_logging
    from ops.serving.exposure import explain_exposure
    from ops.serving.requirements import require_services
    from ops.serving.run import run_api

    settings = get_settings()
    configure_logging(settings)
    if processes is not None:
        settings = settings.model_copy(update={"api_processes": processes})
    require_services(settings)
    if (exposure := explain_exposure(settings)) is not None:
        typer.echo(exposure, err=True)
        raise typer.Exit(1)
    raise typer.Exit(run_api(settings))


@app.command()
def deliver() -> None:
    """Deliver webhooks, in the foreground; settings come from STOREPULSE_* variables. Several may run."""
    from contracts.settings import get_settings
    from ops.logs.setup import configure_logging
    from ops.serving.requirements import require_services
    from ops.webhooks.deliver import run

    settings = get_settings()
    configure_logging(settings)
    require_services(settings, kafka=False)
    raise typer.Exit(run(settings))


@app.command()
def publish() -> None:
    """Publish what visitors would be shown, as they act, in the foreground. Several may run.

    Settings come from STOREPULSE_* variables; STOREPULSE_RECOMMENDATION_INTERVAL_S must be set, for workers
    too.
    """
    from contracts.settings import get_settings
    from ops.logs.setup import configure_logging
    from ops.recommendations.publish import run
    from ops.serving.requirements import require_services

    settings = get_settings()
    configure_logging(settings)
    require_services(settings, kafka=False)
    raise typer.Exit(run(settings))


@app.command()
def learn(
    events: Annotated[
        Path | None, typer.Option(help="Archive or file of events; default: that of the settings.")
    ] = None,
) -> None:
    """Train models on the shop's own events, try them beside those at work, and promote what is better.

    Runs until Ctrl-C; settings come from STOREPULSE_* variables.
    """
    from contracts.settings import get_settings
    from ops.logs.setup import configure_logging
    from ops.serving.requirements import require_services

    settings = get_settings()
    configure_logging(settings)
    found = str(events or "") or settings.learn_events or settings.archive
    if not found:
        typer.echo("nothing says what to learn from: give --events, or set STOREPULSE_ARCHIVE", err=True)
        raise typer.Exit(EXIT_USAGE)
    settings = settings.model_copy(update={"learn_events": found})
    require_extras("learn", "train")
    require_services(settings)
    from ops.learning.loop.process import run

    raise typer.Exit(run(settings))


@app.command()
def status(
    state: StateOption = DEFAULT_STATE,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Show lag per partition, events/s, delay, counters and memory of the running stack."""
    from ops.diagnosis.status import run_status
    from ops.stack.addresses import print_addresses

    settings = find_kafka(state)
    if not json and not watch:
        print_addresses(state)
    raise typer.Exit(run_status(settings, watch=watch, as_json=json))


@app.command()
def doctor(state: StateOption = DEFAULT_STATE, json: JsonOption = False) -> None:
    """Check this machine and the running services, and advise what to do."""
    from ops.diagnosis.doctor import run_doctor

    raise typer.Exit(run_doctor(state, as_json=json))


@app.command()
def chaos(
    minutes: Annotated[float, typer.Option(help="How long to inject faults.", min=0.1)] = 5.0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same faults and events.", min=0)] = 1,
    rate: Annotated[float, typer.Option(help="Events per second during the test.", min=100)] = 2_000,
    keep: Annotated[Path | None, typer.Option(help="Folder for data and logs; it is kept.")] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="Also archive the events, kill the archive, and compare it.")
    ] = False,
    scoring_budget_ms: Annotated[
        int,
        typer.Option(
            help="Time for scores in a round, so that visitors wait; 0: as long as it takes.", min=0
        ),
    ] = 0,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Also publish recommendations, kill the publisher, and compare them."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Kill, stop and rewind workers, Redis and Kafka at random under load, then check every total.

    Runs its own services. Exit code 0: nothing lost, nothing counted twice, every recovery within 30 s.
    """
    require_extras("chaos", "local", "archive" if archive else "replay")
    from ops.chaos.campaign import Plan
    from ops.chaos.report import run_chaos

    plan = Plan(minutes, seed, rate, archive=archive, scoring_budget_ms=scoring_budget_ms, publish=publish)
    raise typer.Exit(run_chaos(plan, as_json=json, keep=keep))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"storepulse {installed('storepulse')}")


@health_app.command("worker")
def health_worker(state: StateOption = DEFAULT_STATE) -> None:
    """Check that the worker at STOREPULSE_WORKER_PORT works; without it, the workers of the stack here."""
    _exit_with_health("worker", state)


@health_app.command("deliver")
def health_deliver(state: StateOption = DEFAULT_STATE) -> None:
    """Check that the deliverer at STOREPULSE_DELIVER_PORT works; without it, that of the stack here."""
    _exit_with_health("deliver", state)


@health_app.command("archive")
def health_archive(state: StateOption = DEFAULT_STATE) -> None:
    """Check that the archive at STOREPULSE_ARCHIVE_PORT works; without it, that of the stack here."""
    _exit_with_health("archive", state)


@health_app.command("publish")
def health_publish(state: StateOption = DEFAULT_STATE) -> None:
    """Check that the publisher at STOREPULSE_PUBLISH_PORT works; without it, that of the stack here."""
    _exit_with_health("publish", state)


@health_app.command("learn")
def health_learn(state: StateOption = DEFAULT_STATE) -> None:
    """Check that the learner at STOREPULSE_LEARN_PORT works; without it, that of the stack here."""
    _exit_with_health("learn", state)


@health_app.command("api")
def health_api(state: StateOption = DEFAULT_STATE) -> None:
    """Check that the API at STOREPULSE_API_PORT is ready; without it, that of the stack here (or 8000)."""
    _exit_with_health("api", state)


def _exit_with_health(part: str, state: Path) -> None:
    from ops.serving.health import run_health

    raise typer.Exit(run_health([part, "--state", str(state)]) or 0)


def main() -> None:
    """Entry point of the `storepulse` command."""
    from pydantic import ValidationError

    from contracts.connection_settings import SecretFileError
    from ops.stack.env_file import ENV_FILE, load_env_file

    try:
        flaws = load_env_file()
    except (OSError, ValueError) as exc:
        typer.echo(f"{ENV_FILE} cannot be read: {exc}", err=True)
        sys.exit(EXIT_USAGE)
    for flaw in flaws:
        typer.echo(f"{ENV_FILE}: {flaw}", err=True)
    try:
        app()
    except SecretFileError as exc:
        typer.echo(str(exc), err=True)
        sys.exit(EXIT_USAGE)
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again
        sys.stderr.write(f"cannot write {exc.filename or 'the output'}: {exc.strerror}\n")
        sys.exit(1)
    except ValidationError as exc:
        if exc.title != "Settings":
            raise
        for error in exc.errors():
            name = f"STOREPULSE_{error['loc'][0]}".upper() if error["loc"] else "settings"
            typer.echo(f"{name}: {error['msg']}", err=True)
        sys.exit(EXIT_USAGE)
