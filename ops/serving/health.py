"""`storepulse health PART`: one request to a part of this machine, with nothing loaded that takes time.

An orchestrator asks every few seconds for as long as the part runs, so the settings, which take half a
second to import, are not read: only the port's variable is.
"""

import os
import socket
import sys
from typing import NamedTuple

HOST = "127.0.0.1"
TIMEOUT_S = 5.0
WELL, NOT_WELL, USAGE = 0, 1, 2
_LARGEST_ANSWER = 16 * 1024
_LARGEST_TEXT = 300


class PartHealth(NamedTuple):
    """Where a part says how it is. Without a default the port must be given."""

    variable: str
    path: str
    default_port: str = ""


PARTS = {
    "worker": PartHealth("STOREPULSE_WORKER_PORT", "/readyz"),
    "deliver": PartHealth("STOREPULSE_DELIVER_PORT", "/readyz"),
    "api": PartHealth("STOREPULSE_API_PORT", "/readyz", "8000"),
}


def run_health(arguments: list[str]) -> int | None:
    """Ask the part that is named and say what it answered; the exit code, or None where no part is named."""
    if len(arguments) != 1 or arguments[0] not in PARTS:
        return None
    part = PARTS[arguments[0]]
    port = os.environ.get(part.variable) or _in_env_file(part.variable) or part.default_port
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        sys.stderr.write(f"{part.variable} must be the port that the part listens on\n")
        return USAGE
    url = f"http://{HOST}:{port}{part.path}"
    status, text = ask(int(port), part.path)
    if status == 200:
        sys.stdout.write(f"{url}: well\n")
        return WELL
    sys.stdout.write(f"{url}: {text or f'answered {status}'}\n")
    return NOT_WELL


def _in_env_file(variable: str) -> str:
    """The variable in the file `.env` here, which every command reads; a number needs no quotes."""
    try:
        with open(".env", encoding="utf-8-sig") as file:
            lines = [line.partition("=") for line in file]
    except (OSError, UnicodeDecodeError):
        return ""
    found = [
        value.partition("#")[0].strip(" \t\r\n'\"") for name, _, value in lines if name.strip() == variable
    ]
    return found[-1] if found else ""


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and text of the answer to a GET on this machine; status 0 and the reason where none came."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        with socket.create_connection((HOST, port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request.encode())
            while len(answer) < _LARGEST_ANSWER and (part := connection.recv(4_096)):
                answer += part
    except OSError as exc:
        return 0, f"no answer: {exc.strerror or exc}"
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[1].isdigit():
        return 0, "what answers speaks no HTTP"
    return int(words[1]), body[:_LARGEST_TEXT].decode(errors="replace").strip()
