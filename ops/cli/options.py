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
