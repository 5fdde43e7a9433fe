"""Which installation a command is about: one that was named, or the stack that runs here; never a guess."""

import os
from pathlib import Path

import typer

from contracts.settings import Settings

EXIT_USAGE = 2


def find_installation(state: Path, *named_by: str) -> Settings:
    """Settings of the stack that runs in `state`, or those of an environment that sets one of `named_by`.

    Without either, the command ends: at the default addresses there may be somebody else's services.
    """
    from ops.stack.record import find_settings, is_live

    if is_live(state) or any(name in os.environ for name in named_by):
        return find_settings(state)
    names = " or ".join(named_by)
    typer.echo(
        f"no stack is running in {state}, and no other installation is set: start a stack with "
        f"`storepulse up`, name its folder with --state, or set {names} (in the environment or in .env)",
        err=True,
    )
    raise typer.Exit(EXIT_USAGE)


def find_kafka(state: Path) -> Settings:
    """`find_installation` for commands that write into Kafka or read from it."""
    return find_installation(state, "STOREPULSE_BOOTSTRAP")


def find_redis(state: Path) -> Settings:
    """`find_installation` for commands that need no more than Redis."""
    return find_installation(state, "STOREPULSE_REDIS_URL", "STOREPULSE_BOOTSTRAP")
