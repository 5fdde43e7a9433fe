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
    """Where a part says how it is, and how its name begins in the record of a stack."""

    variable: str
    path: str
    recorded: str
    default_port: str = ""


PARTS = {
    "worker": PartHealth("STOREPULSE_WORKER_PORT", "/readyz", "worker-"),
    "deliver": PartHealth("STOREPULSE_DELIVER_PORT", "/readyz", "deliver"),
    "archive": PartHealth("STOREPULSE_ARCHIVE_PORT", "/readyz", "archive"),
    "publish": PartHealth("STOREPULSE_PUBLISH_PORT", "/readyz", "publish"),
    "learn": PartHealth("STOREPULSE_LEARN_PORT", "/readyz", "learn"),
    "api": PartHealth("STOREPULSE_API_PORT", "/readyz", "api", "8000"),
}
DEFAULT_STATE = ".storepulse"


def run_health(arguments: list[str]) -> int | None:
    """Ask the part that is named and say what it answered; the exit code, or None for other arguments.

    Its port is that of the variable, in the environment or in `.env`, or that of the stack whose record is in
    the state folder: all workers of it are asked.
    """
    if not arguments or arguments[0] not in PARTS or arguments[1:-1] not in ([], ["--state"]):
        return None
    if len(arguments) == 2:
        return None
    part, state = PARTS[arguments[0]], arguments[2] if len(arguments) == 3 else DEFAULT_STATE
    port = os.environ.get(part.variable) or _in_env_file(part.variable)
    ports = [port] if port else _in_record(state, part.recorded) or [part.default_port]
    if not all(port.isdecimal() and 0 < int(port) < 65_536 for port in ports):
        found = (
            f"is {ports[0]!r}" if ports[0] else f"is not set, and no stack is recorded in {state} (--state)"
        )
        sys.stderr.write(f"{part.variable} must be the port that the part listens on, but {found}\n")
        return USAGE
    return max([_ask_and_say(port, part.path) for port in ports])


def _ask_and_say(port: str, path: str) -> int:
    url = f"http://{HOST}:{port}{path}"
    status, text = ask(int(port), path)
    sys.stdout.write(f"{url}: {'well' if status == 200 else text or f'answered {status}'}\n")
    return WELL if status == 200 else NOT_WELL


def _in_record(state: str, name: str) -> list[str]:
    """Ports of the parts of this name in the record of the stack (`ops.stack.record`); none without one."""
    try:
        with open(f"{state}/stack.json", "rb") as file:
            content = file.read()
    except OSError:
        return []
    import json  # here: it is loaded in vain where an orchestrator asks

    parts = json.loads(content)["parts"]
    return [
        part["where"].rpartition(":")[2].partition("/")[0] for part in parts if part["name"].startswith(name)
    ]


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
        return 0, "the answer is not HTTP"
    return int(words[1]), body[:_LARGEST_TEXT].decode(errors="replace").strip()
