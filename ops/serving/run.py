"""`storepulse api`: one process, or several behind a supervisor."""

import os

from contracts.settings import Settings
from ops.serving.supervisor import Supervisor


def run_api(settings: Settings) -> int:
    """Serve until a signal; the exit code."""
    n_processes = settings.api_processes or count_cores()
    if n_processes > 1:
        return Supervisor(settings, n_processes).run()

    from api.app import create_app
    from ops.serving.server import make_server, raise_file_limit, run_server

    raise_file_limit(settings.api_max_connections)
    return run_server(make_server(create_app(settings), settings))


def count_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
