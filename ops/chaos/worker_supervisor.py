"""The workers of a chaos run and their supervisor: whatever ends without being asked to is started again."""

import logging
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from contracts.settings import Settings
from ops.stack.child import Child
from ops.stack.record import settings_environment

RESTART_DELAY_S = 0.2
_log = logging.getLogger(__name__)


class WorkerSupervisor:
    """Real worker processes (`storepulse worker`), watched by a thread until `close`."""

    def __init__(self, settings: Settings, folder: Path, *, env: Mapping[str, str] | None = None) -> None:
        """`env` is added to the environment of the workers, after the settings; `folder` gets their logs."""
        self.settings = settings
        self.exits: list[tuple[str, int]] = []
        """(worker, exit code) of every end that was not asked for."""
        self._folder = folder
        self._env = {**settings_environment(settings), **(env or {})}
        self._made = 0
        self._workers: list[Child] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> list[Child]:
        """The workers that are kept alive."""
        with self._lock:
            return list(self._workers)

    def add(self) -> Child:
        """Start one more worker."""
        self._made += 1
        name = f"worker-{self._made}"
        argv = [sys.executable, "-P", "-m", "ops.cli", "worker"]
        child = Child(name, argv, self._folder / f"{name}.log", env=self._env)
        child.start()
        with self._lock:
            self._workers.append(child)
        return child

    def remove(self, worker: Child, timeout_s: float = 30.0) -> int:
        """SIGTERM; the exit code (negative if it had to be killed after `timeout_s`)."""
        with self._lock:
            self._workers.remove(worker)
        return worker.stop(timeout_s)

    def close(self) -> None:
        """End everything at once."""
        self._closing.set()
        self._thread.join()
        for worker in self.workers:
            worker.kill()

    def _watch(self) -> None:
        while not self._closing.wait(RESTART_DELAY_S):
            with self._lock:
                for worker in self._workers:
                    code = worker.exit_code
                    if code is not None:
                        _log.info("%s ended with exit code %s", worker.name, code)
                        self.exits.append((worker.name, code))
                        worker.start()
