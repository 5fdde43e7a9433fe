"""Commands about the archive of events."""

from typing import Annotated

import typer

from ops.cli.installation import EXIT_USAGE, find_redis
from ops.cli.options import JsonOption, StateOption
from ops.extras import require_extras
from ops.stack.record import DEFAULT_STATE

ToOption = Annotated[
    str | None,
    typer.Option("--to", help="Folder, or s3://BUCKET/PATH, gs://...; default: STOREPULSE_ARCHIVE."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        help="Keep events in parquet files by day, in a folder or an object store.",
        invoke_without_command=True,
    )
    group.callback()(archive)
    group.command("files")(files)
    group.command("give-up")(give_up)
    app.add_typer(group, name="archive")


def archive(
    context: typer.Context,
    to: ToOption = None,
    once: Annotated[bool, typer.Option("--once", help="Catch up with the topics, then end.")] = False,
) -> None:
    """Run the archive in the foreground; settings come from STOREPULSE_* variables. One at a time."""
    if context.invoked_subcommand is not None:
        return
    require_extras("archive", "archive")
    from contracts.settings import get_settings
    from ops.archive.run import run
    from ops.logs.setup import configure_logging
    from ops.serving.requirements import require_services

    settings = get_settings()
    settings = settings.model_copy(update={"archive": to or settings.archive})
    _require_place(settings.archive)
    configure_logging(settings)
    require_services(settings, kafka=False)
    raise typer.Exit(run(settings, once=once))


def files(to: ToOption = None, json: JsonOption = False) -> None:
    """List the files that are the archive now: each row is in one of them."""
    require_extras("archive files", "archive")
    from contracts.settings import get_settings
    from ops.archive.commands import run_files

    location = to or get_settings().archive
    _require_place(location)
    raise typer.Exit(run_files(location, as_json=json))


def give_up(to: ToOption = None, state: StateOption = DEFAULT_STATE) -> None:
    """Give up an archive: deletions of visitors do not wait for it any more. Its files stay."""
    require_extras("archive give-up", "archive")
    from ops.archive.commands import run_give_up

    settings = find_redis(state)
    location = to or settings.archive
    _require_place(location)
    raise typer.Exit(run_give_up(settings, location))


def _require_place(location: str) -> None:
    if not location:
        typer.echo("name the archive's folder or object store with --to or STOREPULSE_ARCHIVE", err=True)
        raise typer.Exit(EXIT_USAGE)
