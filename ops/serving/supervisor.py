"""Several API processes on one port: started together, replaced one by one, ended together."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

from contracts.settings import Settings
from ops.serving import GRACE_S
from ops.serving.listening import PortTaken, reserve
from ops.serving.managed_process import ManagedProcess
from ops.stack.child import StartError
from ops.stack.record import settings_environment

CHECK_EVERY_S = 0.1
SPARE_S = 5.0
"""Beyond the time an orderly end may take, until what is left is killed."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs `n_processes` until a signal. What dies is replaced; the guard ends all if we are killed."""

    def __init__(self, settings: Settings, n_processes: int) -> None:
        self._settings = settings
        self._n_processes = n_processes
        self._asked = threading.Event()
        self._processes: list[ManagedProcess] = []

    def run(self) -> int:
        """The exit code: 0 after an orderly end, 1 if the API cannot start or a process had to be killed."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._handle)
        folder = Path(tempfile.mkdtemp(prefix="storepulse-api-"))
        try:
            with reserve(self._settings.api_host, self._settings.api_port) as reserved:
                self._start(folder, reserved)
                return self._watch()
        except (PortTaken, StartError) as exc:
            _log.error("%s", exc)
            return 1
        finally:
            self._end()
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self, folder: Path, reserved: socket.socket) -> None:
        port = reserved.getsockname()[1]
        env = settings_environment(self._settings.model_copy(update={"api_port": port, "api_processes": 1}))
        for index in range(self._n_processes):
            process = ManagedProcess(index, reserved, folder, env)
            self._processes.append(process)
            process.start()
        _log.info("%d API processes on %s port %d", self._n_processes, self._settings.api_host, port)

    def _watch(self) -> int:
        while not self._asked.wait(CHECK_EVERY_S):
            for process in self._processes:
                if not self._check(process):
                    return 1
        return self._end()

    def _check(self, process: ManagedProcess) -> bool:
        """Whether there is any sense in going on."""
        news = process.check()
        if news:
            _log.warning("API process %d: %s", process.index, news)
        if process.child.alive or any(each.was_ready for each in self._processes):
            return True
        _log.error("the API does not start; its log says why")
        return False

    def _end(self) -> int:
        """All processes end at the same time; 1 if one did not, or not well."""
        for process in self._processes:
            process.close_socket()
            process.child.send(signal.SIGTERM)
        deadline_s = time.monotonic() + self._settings.pre_stop_s + GRACE_S + SPARE_S
        while any(process.child.alive for process in self._processes) and time.monotonic() < deadline_s:
            time.sleep(CHECK_EVERY_S)
        codes = []
        for process in self._processes:
            if process.child.alive:
                process.child.kill()
            process.close()
            codes.append(process.child.exit_code)
        self._processes.clear()
        # A process that dies of the signal had not begun to serve.
        return 0 if all(code in (0, -signal.SIGTERM) for code in codes) else 1

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        del frame
        if not self._asked.is_set():
            self._asked.set()
            return
        for process in self._processes:
            with contextlib.suppress(RuntimeError):  # one that never started
                process.child.kill()
        os._exit(128 + signum)
