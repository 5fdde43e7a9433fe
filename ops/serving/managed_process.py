"""One of several API processes as its supervisor sees it: its socket, its child, and whether that is well."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from api.http.shared_metrics import forget_process
from ops.serving.listening import PortTaken, listen
from ops.stack.child import Child, StartError
from ops.stack.supervision import STEADY_S, restart_delay_s

START_S = 60.0
"""A process that has not begun to serve by then is replaced."""
HUNG_S = 30.0
"""So is one whose event loop has not turned for this long."""


class _ChildInOurLog(Child):
    """A child that logs where we do."""

    def _open_log(self) -> BinaryIO:
        return os.fdopen(os.dup(sys.stderr.fileno()), "ab")

    def log_tail(self) -> str:
        """Nothing: the reader has seen it."""
        return "its log is above"


class ManagedProcess:
    """API process number `index`, and its socket, which is ours too: when it dies, new clients wait there."""

    def __init__(self, index: int, reserved: socket.socket, folder: Path, env: Mapping[str, str]) -> None:
        self.index = index
        self.was_ready = False
        """Whether any child of it ever served."""
        self._reserved = reserved
        self._folder = folder
        self._socket: socket.socket | None = None
        self._beats: int | None = None
        self._heard_s = 0.0
        self._started_s = 0.0
        self._is_ready = False
        self._failures = 0
        self._due_s: float | None = None
        self.child = _ChildInOurLog(f"API process {index}", [], Path("stderr"), env=env)

    def start(self) -> None:
        """Starts a process; raises `StartError`, `PortTaken`."""
        if self._socket is None:
            self._socket = listen(self._reserved)
        self._beats, beat_fd = os.pipe()
        os.set_blocking(self._beats, False)
        listen_fd = self._socket.fileno()
        arguments = [str(part) for part in (listen_fd, beat_fd, self.index, self._folder)]
        self.child.argv = [sys.executable, "-P", "-m", "ops.serving.process", *arguments]
        self.child.pass_fds = (listen_fd, beat_fd)
        try:
            self.child.start()
        finally:
            os.close(beat_fd)
        self._started_s = self._heard_s = time.monotonic()
        self._is_ready = False
        self._due_s = None

    def check(self) -> str:
        """Looks after the process, and starts another in its place when it is time; the news, or empty."""
        now_s = time.monotonic()
        if self.child.alive:
            self._listen_for_beats(now_s)
            silence_s = now_s - self._heard_s
            if silence_s <= (HUNG_S if self._is_ready else START_S):
                return ""
            self.child.kill()
            return f"killed: unresponsive for {silence_s:.0f} s"
        if self._due_s is None:
            return self._note_end(now_s)
        if now_s < self._due_s:
            return ""
        try:
            self.start()
        except (PortTaken, StartError) as exc:
            self._failures += 1
            self._due_s = now_s + restart_delay_s(self._failures)
            return str(exc)
        return f"restarted, pid {self.child.pid}"

    def close_socket(self) -> None:
        """Takes no more connections; what the process still has open is its own."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Lets go of what is left of the process, which has ended."""
        self.close_socket()
        self._close_beats()

    def _note_end(self, now_s: float) -> str:
        forget_process(self._folder, self.index)
        self._close_beats()
        is_steady = self._is_ready and now_s - self._started_s > STEADY_S
        self._failures = 1 if is_steady else self._failures + 1
        delay_s = 0.0 if self._failures == 1 else restart_delay_s(self._failures)
        if delay_s:
            self.close_socket()  # clients that would wait in it are better served by the others
        self._due_s = now_s + delay_s
        return f"ended with exit code {self.child.exit_code}, restart in {delay_s:.1f} s"

    def _listen_for_beats(self, now_s: float) -> None:
        if self._beats is None:
            return
        with contextlib.suppress(BlockingIOError):
            if os.read(self._beats, 4_096):
                self._heard_s = now_s
                self._is_ready = self.was_ready = True

    def _close_beats(self) -> None:
        if self._beats is not None:
            os.close(self._beats)
            self._beats = None
