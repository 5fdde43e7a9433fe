"""Commands about deleting visitors."""

from typing import Annotated

import typer

from ops.cli.installation import find_kafka, find_redis
from ops.cli.options import StateOption
from ops.stack.record import DEFAULT_STATE


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    privacy = typer.Typer(
        help="Delete visitors, and check that nothing about them is left.", no_args_is_help=True
    )
    privacy.command("delete")(delete)
    privacy.command("status")(status)
    privacy.command("check")(check)
    app.add_typer(privacy, name="privacy")


def delete(
    user_id: Annotated[str, typer.Argument(help="As in the events.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")] = True,
    timeout: Annotated[float, typer.Option(help="Maximum seconds to wait.", min=1)] = 60.0,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Delete everything stored about a visitor, and ignore their events up to now for good.

    A worker must run; an API need not. The exit code is 1 if it is not done in time.
    """
    from ops.privacy.commands import run_delete

    raise typer.Exit(run_delete(find_kafka(state), user_id, timeout_s=timeout if wait else 0.0))


def status(
    deletion_id: Annotated[str, typer.Argument(help="Id returned by `delete` or by the API.")],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show the progress of a deletion; the exit code is 1 if the id is unknown."""
    from ops.privacy.commands import run_status

    raise typer.Exit(run_status(find_redis(state), deletion_id))


def check(
    user_id: Annotated[str, typer.Argument(help="As in the events.")],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Look for a visitor in every key and every value in Redis; the exit code is 1 if they are anywhere."""
    from ops.privacy.commands import run_check

    raise typer.Exit(run_check(find_redis(state), user_id))
