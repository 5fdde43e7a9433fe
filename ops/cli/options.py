"""Options that several groups of commands have."""

from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[Path, typer.Option("--state", help="Folder of the running stack.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", help="URL of the API; default: that of the running stack. Key: STOREPULSE_API_KEY."
    ),
]
EventsOption = Annotated[
    list[Path] | None, typer.Option("--events", help="Files of events, each of one shop.")
]
MoreFiles = Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="More files.")]
IdleMinutes = Annotated[float, typer.Option(help="A longer gap starts a new session.", min=0.1)]
CurrencyOption = Annotated[str, typer.Option(help="Currency of prices without one.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="Default: detected from the columns.")]
FiguresFile = Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")]
ModelSeed = Annotated[int, typer.Option(help="The same seed gives the same model.", min=0)]
RunsFolder = Annotated[Path, typer.Option(help="Folder for the log of the run.")]
NamesOption = Annotated[str, typer.Option(help="Names, comma-separated; default: all.")]


def names_of(text: str, separator: str = ",") -> tuple[str, ...]:
    """The names in an option that holds several."""
    return tuple(name.strip() for name in text.split(separator) if name.strip())
