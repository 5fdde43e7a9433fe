"""`storepulse api` as a program, and clients that speak HTTP byte by byte."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import httpx
import psutil

from contracts.settings import Settings
from ops.api_client.health import answers
from ops.stack.child import Child
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from plain_http import NO_TLS
from services import wait_until

PATIENCE_S = 60.0


class ApiProgram:
    """One run of the program, with its log; its port is a free one."""

    def __init__(
        self, settings: Settings, folder: Path, *, processes: int = 1, env: Mapping[str, str] | None = None
    ) -> None:
        self.processes = processes
        self.settings = settings.model_copy(update={"api_port": pick_port()})
        self.address = ("127.0.0.1", self.settings.api_port)
        self.url = f"http://127.0.0.1:{self.settings.api_port}"
        argv = [sys.executable, "-P", "-m", "ops.cli", "api", "--processes", str(processes)]
        environment = {**settings_environment(self.settings), **(env or {})}
        self.child = Child("api", argv, folder / "api.log", env=environment)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop(20)

    def start(self) -> None:
        """Returns when all its processes serve."""
        self.child.start()
        self.child.await_ready(lambda: answers(f"{self.url}/startupz"), PATIENCE_S)
        if self.processes > 1:
            self.await_log("Application startup complete", self.processes)

    def await_log(self, text: str, times: int = 1) -> None:
        """Waits until the log has this text so many times."""
        wait_until(lambda: self.log().count(text) >= times, PATIENCE_S, f"{times} times {text!r} in the log")

    def log(self) -> str:
        """What it logged so far."""
        return self.child.log_path.read_text()

    def servers(self) -> list[psutil.Process]:
        """The processes that serve, if there is a supervisor."""
        children = psutil.Process(self.child.pid).children()
        return [child for child in children if "ops.serving.process" in child.cmdline()]

    def terminate(self) -> None:
        """SIGTERM to the program alone, as a service manager sends it."""
        os.kill(self.child.pid, signal.SIGTERM)

    def await_end(self) -> int:
        """The exit code, once it has ended by itself."""
        wait_until(lambda: not self.child.alive, PATIENCE_S, "the end of the API")
        code = self.child.exit_code
        assert code is not None
        return code

    def get(self, path: str) -> httpx.Response:
        """A request on a connection of its own."""
        return httpx.get(f"{self.url}{path}", timeout=PATIENCE_S, verify=NO_TLS)

    def open(self) -> socket.socket:
        """A connection on which nothing was sent."""
        return socket.create_connection(self.address, timeout=PATIENCE_S)


Serve = Callable[..., ApiProgram]
"""Starts the program with settings of one's own; see the fixture `serve`."""


def read_answer(connection: socket.socket) -> httpx.Response:
    """The answer on a connection that the server closes behind it."""
    received = bytearray()
    while chunk := connection.recv(65_536):
        received += chunk
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


def send_head(connection: socket.socket, line: str, *headers: str) -> None:
    """Sends a whole head."""
    connection.sendall("\r\n".join((f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")).encode())
