"""The command line `storepulse`: every command is a thin function that imports its package when it runs."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops.cli.application import app as app


INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Entry point of the `storepulse` command."""
    if sys.argv[1:2] == ["health"]:  # asked every few seconds for ever: loads neither commands nor settings
        from ops.serving.health import run_health

        code = run_health(sys.argv[2:])
        if code is not None:
            sys.exit(code)

    try:
        from ops.cli.application import main as run

        run()
    except KeyboardInterrupt:  # what a command does not end by itself, such as its imports
        sys.exit(INTERRUPTED)
    except Exception as exc:
        from ops.cli.failures import explain

        code = explain(exc)
        if code is None:
            raise
        sys.exit(code)


def __getattr__(name: str) -> Any:
    """The application `app`, which is loaded when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    from ops.cli.application import app

    return app
