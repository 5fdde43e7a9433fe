"""A child process: started in its own group with its own log, never outliving us."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

LOG_TAIL_BYTES = 2_000
LARGEST_LOG_BYTES = 10 * 2**20
"""A log larger than this is set aside as `.1` at the next start."""


FULL_BYTES = 2**20


def disk_full(place: Path) -> str:
    """That the disk of a file or folder is full, and what to do; empty if it is not, or nobody can say."""
    try:
        left = shutil.disk_usage(place if place.exists() else place.parent).free
    except OSError:
        return ""
    return f"the disk of {place} is full: free some space" if left < FULL_BYTES else ""


class StartError(RuntimeError):
    """A child did not start or did not become ready; the message has the end of its log."""


class Child:
    """One child process. `start` may be called again after the process has ended."""

    def __init__(
        self, name: str, argv: Sequence[str], log_path: Path, *, env: Mapping[str, str] | None = None
    ) -> None:
        """`env` is added to our own environment; the log is appended to, stdout and stderr together."""
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log_path = log_path
        self.env = dict(env or {})
        self.pass_fds: tuple[int, ...] = ()
        """Open files of ours that the next process started gets too."""
        self.log_start = 0
        """Bytes of the log that are of earlier runs of ours."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; raises `RuntimeError` before the first start."""
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs or before the first start."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None:
            _guard.remove(self._process.pid)
        return code

    @property
    def alive(self) -> bool:
        """Whether the process is there (a stopped one is)."""
        return self._process is not None and self.exit_code is None

    def start(self) -> None:
        """Start the process; raises `StartError` if its program is absent or it runs already."""
        if self.alive:
            raise StartError(f"{self.name} is already running, pid {self.pid}")
        try:
            with self._open_log() as log:
                if self._process is None:
                    self.log_start = log.tell() if log.seekable() else 0  # a container's log is a pipe
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self.env},
                    start_new_session=True,
                    pass_fds=self.pass_fds,
                )
        except OSError as exc:
            raise StartError(f"{self.name}: cannot run {self.argv[0]!r}: {exc}") from exc
        _guard.add(self._process.pid)

    def await_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Poll `ready` until it holds; raises `StartError` if the process ends first or time runs out."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            code = self.exit_code
            if code is not None:
                raise StartError(f"{self.name} ended with exit code {code}; {self.log_tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {timeout_s:.0f} s; {self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self) -> str:
        """The log's path and its last `LOG_TAIL_BYTES`, and whether there is no room for more."""
        try:
            tail = self.log_path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
        except FileNotFoundError:
            tail = ""
        full = disk_full(self.log_path)
        end = f"the end of {self.log_path}:\n{tail or '(empty)'}"
        return f"{end}\n{full}" if full else end

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM, and SIGKILL after `timeout_s`; the exit code. Harmless when it has ended."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._started().wait(timeout_s)
        return self.kill()

    def kill(self) -> int:
        """SIGKILL the whole group and wait for its end; the exit code."""
        process = self._started()
        self.send(signal.SIGKILL)
        code = process.wait()
        _guard.remove(process.pid)
        return code

    def suspend(self) -> None:
        """SIGSTOP: the process is there and does nothing, as in a long pause."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `suspend`."""
        self.send(signal.SIGCONT)

    def send(self, signum: int) -> None:
        """Send a signal to the process group, if the process has not been waited for yet."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signum)

    def _open_log(self) -> BinaryIO:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LARGEST_LOG_BYTES:
            self.log_path.rename(f"{self.log_path}.1")
        return self.log_path.open("ab")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process


class _Guard:
    """Our end of the pipe to the guard process (`ops.stack.guard`), which is started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def add(self, pgid: int) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                atexit.register(self._close)
            self._groups.add(pgid)
            self._write(f"+{pgid}\n")

    def remove(self, pgid: int) -> None:
        with self._lock:
            if pgid in self._groups:
                self._groups.remove(pgid)
                self._write(f"-{pgid}\n")

    def _write(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()


_guard = _Guard()
