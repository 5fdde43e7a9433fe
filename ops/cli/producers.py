"""Commands that send events and look after refused ones."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import Settings
from ops.cli.installation import find_kafka
from ops.extras import require_extras
from ops.stack.record import DEFAULT_STATE

StateOption = Annotated[Path, typer.Option("--state", help="Folder of the running stack and of checkpoints.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only dead letters with this code.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(replay)
    app.command()(simulate)
    rejected = typer.Typer(
        help="Rejected records from Kafka, files and HTTP: list, show, send again.", no_args_is_help=True
    )
    rejected.command("ls")(list_rejected)
    rejected.command("show")(show_rejected)
    rejected.command("replay")(replay_rejected)
    app.add_typer(rejected, name="rejected")


def replay(
    file: Annotated[Path, typer.Argument(help="CSV, parquet or JSON lines; .csv.gz and .jsonl.gz too.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="rees46, retailrocket, taobao, items or jsonl; default: detected from the columns.",
        ),
    ] = None,
    speed: Annotated[
        str, typer.Option(help="1: real time; 60: an hour in a minute; max: as fast as it goes.")
    ] = "",
    time: Annotated[
        str, typer.Option(help="original, or now: all times move so that the first event is now.")
    ] = "original",
    currency: Annotated[str | None, typer.Option(help="Currency of prices without one.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Only the first rows, by time; the next run continues after them.", min=1),
    ] = None,
    max_lag: Annotated[
        int,
        typer.Option(help="Pause while the stream is more than this many events behind; 0: never.", min=0),
    ] = 20_000,
    resume: Annotated[bool, typer.Option("--resume/--restart", help="Continue an interrupted run.")] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Send it even if these events were sent before.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Send a file of events to Kafka in order of event time.

    Example: storepulse replay events.csv --speed 60
    """
    require_extras("replay", "replay")
    from producers.commands import ReplayOptions, run_replay
    from producers.pacing import parse_speed
    from producers.replay import ReplayPlan

    try:
        pace = parse_speed(speed or ("1" if time == "now" else "max"))
        plan = ReplayPlan(pace, time, limit, max_lag, resume and not again, again)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    options = ReplayOptions(file, plan, format_name, currency, state, json)
    raise typer.Exit(run_replay(find_kafka(state), options))


def simulate(
    rate: Annotated[float, typer.Option(help="Events/s on average.")] = 50.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop and events.")] = 1,
    visitors: Annotated[int, typer.Option(help="Number of different visitors.", min=1)] = 100_000,
    duration: Annotated[
        float | None,
        typer.Option(help="Simulated seconds; default: until Ctrl-C, or 3600 for a file or max.", min=1),
    ] = None,
    start: Annotated[str, typer.Option(help="now, or a time such as 2025-10-01T08:00:00Z.")] = "now",
    speed: Annotated[
        str, typer.Option(help="1: real time; 60: an hour in a minute; max: as fast as it goes.")
    ] = "1",
    profile: Annotated[str, typer.Option(help="demo, multi-category or cosmetics.")] = "demo",
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here instead of sending.")] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Print the shape of this file beside the simulation's; repeatable."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Run a simulated shop: visitors who browse, fill and abandon carts, come back and buy.

    Examples: storepulse simulate --rate 50
    storepulse simulate --start 2025-10-01T08:00:00Z --duration 86400 --out day.jsonl
    """
    if compare:
        require_extras("simulate --compare", "replay")
    from producers.pacing import parse_speed
    from producers.simulate_command import SimulateOptions, run_simulate

    try:
        pace = parse_speed(speed)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    options = SimulateOptions(
        rate=rate,
        seed=seed,
        visitors=visitors,
        duration_s=duration,
        start=start,
        speed=pace,
        profile=profile,
        out=out,
        compare=tuple(compare or ()),
        as_json=json,
    )
    settings = find_kafka(state) if out is None and not compare else Settings()
    raise typer.Exit(run_simulate(settings, options))


def list_rejected(
    code: CodeOption = None,
    limit: Annotated[int, typer.Option(help="Maximum number of lines.", min=1)] = 50,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Count dead letters by code; with --code list the newest of that code."""
    from producers.rejected_command import run_ls

    raise typer.Exit(run_ls(find_kafka(state), code=code, limit=limit, as_json=json))


def show_rejected(
    letter_id: Annotated[str, typer.Argument(help="As `rejected ls --code CODE` shows it.")],
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one dead letter with its original bytes; unprintable ones are escaped."""
    from producers.rejected_command import run_show

    raise typer.Exit(run_show(find_kafka(state), letter_id, as_json=json))


def replay_rejected(
    code: CodeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also send what is still invalid.")] = False,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Send dead letters again to their topic if they are valid now."""
    from producers.rejected_command import run_replay

    raise typer.Exit(run_replay(find_kafka(state), code=code, dry_run=dry_run, force=force, as_json=json))
