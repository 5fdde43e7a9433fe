"""Commands about alerts."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.alerts import AlertKind, Severity
from ops.stack_record import DEFAULT_STATE


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    alerts = typer.Typer(help="Visitors about to leave, and carts left behind.", no_args_is_help=True)
    alerts.callback()(_group)
    alerts.command("tail")(tail)
    app.add_typer(alerts, name="alerts")


def _group() -> None:
    """Keep `tail` a command of its own: a Typer with one command would swallow its name."""


def tail(
    kind: Annotated[AlertKind | None, typer.Option(help="Only of this kind.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only of this severity.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Event time to begin at: 2025-10-01T08:00:00Z, or a span before now such as 30m."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for new ones until Ctrl-C.")
    ] = True,
    state: Annotated[Path, typer.Option("--state", help="Folder of the running stack.")] = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show alerts as they fire and end: the newest ten, then each new one.

    Example: storepulse alerts tail --kind churn_risk --severity high
    """
    import time

    from api.alert_log import AlertFilter
    from ops.alerts_tail import TailOptions, parse_since, run_tail
    from ops.stack_record import find_settings

    try:
        since_ms = None if since is None else parse_since(since, time.time_ns() // 1_000_000)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--since") from exc
    wanted = AlertFilter(kind=kind, severity=severity, since_ms=since_ms)
    raise typer.Exit(run_tail(find_settings(state), TailOptions(wanted, follow, json)))
