"""Commands about events on their way in."""

from typing import Annotated

import typer

from ops.cli.installation import find_redis
from ops.cli.options import StateOption
from ops.stack.record import DEFAULT_STATE


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    events = typer.Typer(help="Watch events as they are sent to the API.", no_args_is_help=True)
    events.callback()(_group)
    events.command("tail")(tail)
    app.add_typer(events, name="events")


def _group() -> None:
    """Keep `tail` a command of its own: a Typer with one command would swallow its name."""


def tail(
    key_id: Annotated[str | None, typer.Option(help="Only events sent with this API key.")] = None,
    for_s: Annotated[
        float | None, typer.Option("--for", help="Stop after this many seconds; default: at Ctrl-C.", min=1)
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines, one per request.")] = False,
) -> None:
    """Show events as they are sent: accepted, or rejected and why.

    It reads from Redis, so it needs no key.

    Example: storepulse events tail --key-id k7f3
    """
    from ops.events.tail import EventTailOptions, run_events_tail

    raise typer.Exit(run_events_tail(find_redis(state), EventTailOptions(key_id, for_s, json)))
