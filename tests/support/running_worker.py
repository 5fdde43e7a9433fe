"""A worker of the command line, as long as a test needs one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.settings import Settings
from ops.stack.child import Child
from ops.stack.record import settings_environment


@contextmanager
def running_worker(settings: Settings, folder: Path) -> Iterator[Child]:
    """A worker process that logs into the folder, and is stopped in order at the end."""
    argv = [sys.executable, "-P", "-m", "ops.cli", "worker"]
    child = Child("worker", argv, folder / "worker.log", env=settings_environment(settings))
    child.start()
    try:
        yield child
    finally:
        child.stop()
