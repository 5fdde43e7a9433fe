"""Extras: packages that only some commands need, and how to get them."""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import typer

_ROOT = Path(__file__).parents[1]
_IMAGE_PREFIX = "/opt/storepulse"
"""Where the Dockerfile installs; there is no pip there, and nothing to write to."""
_MODULES = {
    "local": ("confluent_kafka",),
    "replay": ("polars",),
    "archive": ("polars", "fsspec"),
    "train": ("polars", "torch"),
}
"""What an extra is missed by. Of `local` Redis may also be the machine's own."""


def require_extras(command: str, *extras: str) -> None:
    """End with exit code 2 and the command that installs what is missing, if anything is."""
    missing = [extra for extra in extras if not _is_installed(extra)]
    if missing:
        names = ", ".join(name for extra in missing for name in _MODULES[extra] if find_spec(name) is None)
        typer.echo(
            f"`storepulse {command}` needs {names}, which is not installed: {install_command(*missing)}",
            err=True,
        )
        raise typer.Exit(2)


def install_command(*extras: str) -> str:
    """A command that installs extras here: into the image, from the clone that this is, or from the index.

    Building an image anew must name those that it has, too.
    """
    if in_image():
        wanted = {extra for extra in _MODULES if extra in extras or _is_installed(extra)}
        if wanted & {"archive", "train"}:
            wanted -= {"replay"}  # they include it
        return f"EXTRAS={','.join(sorted(wanted))} docker compose build"
    python, names = shlex.quote(sys.executable), ",".join(extras)
    if not (_ROOT / "pyproject.toml").is_file():
        return f"{python} -m pip install 'storepulse[{names}]'"
    constraints = shlex.quote(str(_ROOT / "constraints.txt"))
    return f"{python} -m pip install -c {constraints} -e {shlex.quote(f'{_ROOT}[{names}]')}"


def in_image() -> bool:
    """Is this process one of the image's? No stack is started there."""
    return sys.prefix == _IMAGE_PREFIX


def _is_installed(extra: str) -> bool:
    return all(map(find_spec, _MODULES[extra]))
