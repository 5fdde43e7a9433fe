"""How commands that measure and train give out what they found, or say why there is nothing."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from contracts.files import unwritable
from ops.extras import install_command
from sources import UnknownFormat

EXIT_ERROR, EXIT_USAGE = 1, 2


def open_console(file_columns: int) -> Console:
    """Standard output; where it goes to a file or a pipe it is so wide that a table is not folded."""
    console = Console()
    return console if console.is_terminal else Console(width=file_columns)


def say_failure(errors: Console, exc: Exception) -> int:
    """Print the reason; the exit code: `EXIT_USAGE` where what was asked for does not fit together."""
    errors.print(str(exc), markup=False, soft_wrap=True)
    is_usage = isinstance(exc, ValueError) and not isinstance(exc, UnknownFormat)
    return EXIT_USAGE if is_usage else EXIT_ERROR


def save_json(errors: Console, path: Path | None, plain: Any) -> int:
    """Write a report, if a file for it was named; the exit code."""
    if path is None:
        return 0
    try:
        path.write_bytes(orjson.dumps(plain, option=orjson.OPT_INDENT_2))
    except OSError as exc:
        return say_failure(errors, unwritable(path, exc))
    return 0


def say_missing(errors: Console, exc: ModuleNotFoundError) -> int:
    """Print which library of the extra `train` is missing, and how to install it; the exit code."""
    errors.print(f"{exc.name} is missing: {install_command('train')}", markup=False, soft_wrap=True)
    return EXIT_ERROR


def describe_machine() -> dict[str, Any]:
    """Where and when figures were measured."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
