"""One of several API processes, as `ops.serving.supervisor` starts it: `-m ops.serving.process ARGUMENTS`."""

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple, Self

from api.app import create_app
from api.http.shared_metrics import SharedMetrics
from contracts.settings import get_settings
from ops.logs.setup import configure_logging
from ops.serving.server import make_server, raise_file_limit, run_server


class Arguments(NamedTuple):
    """What a process gets from its supervisor: two open files, its number, and the folder of the metrics."""

    listen_fd: int
    beat_fd: int
    slot: int
    metrics_folder: Path

    def to_argv(self) -> list[str]:
        """As words of a command line."""
        return [str(argument) for argument in self]

    @classmethod
    def from_argv(cls, argv: list[str]) -> Self:
        """The words of `to_argv`."""
        listen_fd, beat_fd, slot, folder = argv
        return cls(int(listen_fd), int(beat_fd), int(slot), Path(folder))


def main(argv: list[str]) -> int:
    """Serve until a signal; the exit code."""
    arguments = Arguments.from_argv(argv)
    settings = get_settings()
    configure_logging(settings)
    raise_file_limit(settings.api_max_connections)
    shared = SharedMetrics(arguments.metrics_folder, arguments.slot)
    app = create_app(settings, shared=shared)
    os.set_blocking(arguments.beat_fd, False)

    def beat() -> None:
        try:
            with contextlib.suppress(BlockingIOError):
                os.write(arguments.beat_fd, b".")
        except BrokenPipeError:  # the supervisor is gone
            server.ask_to_end()

    server = make_server(app, settings, beat)
    return run_server(server, [socket.socket(fileno=arguments.listen_fd)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
