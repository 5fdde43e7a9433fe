"""Commands that send events and look after refused ones."""

from pathlib import Path
from typing import Annotated

import typer

from ops.stack_record import DEFAULT_STATE

StateOption = Annotated[Path, typer.Option("--state", help="Folder of the running stack and of checkpoints.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(replay)
    app.command()(simulate)


def replay(
    file: Annotated[Path, typer.Argument(help="CSV, parquet or JSON lines; .csv.gz and .jsonl.gz too.")],
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="rees46, retailrocket, taobao, items or jsonl [default: found]"),
    ] = None,
    speed: Annotated[str, typer.Option(help="1 is real time, 60 an hour a minute, or max.")] = "",
    time: Annotated[str, typer.Option(help="original, or now: the first event is now.")] = "original",
    currency: Annotated[str | None, typer.Option(help="Currency of prices that name none.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first rows, by time.", min=1)] = None,
    max_lag: Annotated[
        int, typer.Option(help="Wait while the stream is more events behind; 0 does not look.", min=0)
    ] = 20_000,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on after an interrupted run.")
    ] = True,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Send a file of events to Kafka in order of event time.

    Example: storepulse replay events.csv --speed 60
    """
    from ops.stack_record import find_settings
    from producers.commands import ReplayOptions, run_replay
    from producers.pacing import parse_speed
    from producers.replay import ReplayPlan

    try:
        pace = parse_speed(speed or ("1" if time == "now" else "max"))
        plan = ReplayPlan(pace, time, limit, max_lag, resume)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    options = ReplayOptions(file, plan, format_name, currency, state, json)
    raise typer.Exit(run_replay(find_settings(state), options))


def simulate(
    rate: Annotated[float, typer.Option(help="Events/s on average.")] = 50.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop and events.")] = 1,
    visitors: Annotated[int, typer.Option(help="How many different people there are.", min=1)] = 100_000,
    duration: Annotated[
        float | None,
        typer.Option(help="Simulated seconds [default: until Ctrl-C; 3600 for a file or max]", min=1),
    ] = None,
    start: Annotated[str, typer.Option(help="now, or a time such as 2025-10-01T08:00:00Z.")] = "now",
    speed: Annotated[str, typer.Option(help="1 is real time, 60 an hour a minute, or max.")] = "1",
    profile: Annotated[str, typer.Option(help="demo, multi-category or cosmetics.")] = "demo",
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here instead of sending.")] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Print the shape of this file beside the simulation's; repeatable."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Run a synthetic shop: visitors who browse, fill and abandon carts, come back and buy.

    Examples: storepulse simulate --rate 50
    storepulse simulate --start 2025-10-01T08:00:00Z --duration 86400 --out day.jsonl
    """
    from ops.stack_record import find_settings
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
    raise typer.Exit(run_simulate(find_settings(state), options))
