"""Commands about versions of models."""

from typing import Annotated

import typer

from ops.cli.installation import find_kafka

Slot = Annotated[str, typer.Argument(help="Model slot, such as next_action.")]
MaybeSlot = Annotated[str | None, typer.Argument(help="Only of this model slot.")]
Version = Annotated[str, typer.Argument(help="Version of the model, or base for what the slot comes with.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    models = typer.Typer(help="Versions of models: list, promote, roll back, pin.", no_args_is_help=True)
    models.command("ls")(ls)
    models.command("history")(history)
    models.command("promote")(promote)
    models.command("rollback")(rollback)
    models.command("pin")(pin)
    models.command("unpin")(unpin)
    app.add_typer(models, name="models")


def ls(slot: MaybeSlot = None, json: Json = False) -> None:
    """List the versions of models, and which of them is the champion."""
    from ops.models.commands import list_versions
    from ops.stack.record import DEFAULT_STATE

    raise typer.Exit(list_versions(find_kafka(DEFAULT_STATE), slot, as_json=json))


def history(slot: MaybeSlot = None, json: Json = False) -> None:
    """List every step that was taken, with its reason."""
    from ops.models.commands import list_steps
    from ops.stack.record import DEFAULT_STATE

    raise typer.Exit(list_steps(find_kafka(DEFAULT_STATE), slot, as_json=json))


def promote(slot: Slot, version: Version, reason: Reason = "promoted by hand") -> None:
    """Make a version the champion; from the shadow it goes on being compared with the one before."""
    _decide("promote", slot, version, reason)


def rollback(slot: Slot, reason: Reason = "rolled back by hand") -> None:
    """Make the champion before the champion again, and reject the one of now."""
    _decide("roll_back", slot, None, reason)


def pin(
    slot: Slot,
    version: Annotated[str | None, typer.Argument(help="Default: the champion of now.")] = None,
    reason: Reason = "pinned by hand",
) -> None:
    """Make a version the champion until it is unpinned, whatever the figures say."""
    _decide("pin", slot, version, reason)


def unpin(slot: Slot, reason: Reason = "unpinned by hand") -> None:
    """Let the figures decide again."""
    _decide("unpin", slot, None, reason)


def _decide(kind: str, slot: str, version: str | None, reason: str) -> None:
    from contracts.model_steps import StepKind
    from ops.models.commands import decide
    from ops.stack.record import DEFAULT_STATE

    raise typer.Exit(decide(find_kafka(DEFAULT_STATE), StepKind(kind), slot, version, reason))
