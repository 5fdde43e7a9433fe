"""`storepulse webhooks listen`: a receiver on this machine that verifies messages and prints them."""

from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from delivery.webhooks.messages import MAX_BODY_BYTES
from delivery.webhooks.signing import InvalidSignature, check_secret, verify
from ops.stack.ports import LOOPBACK

_IDLE_S = 10.0


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Where to listen and how to answer; raises `ValueError` for a secret that is none."""

    port: int
    secret: str
    status: int
    count: int | None
    as_json: bool

    def __post_init__(self) -> None:
        if self.secret:
            check_secret(self.secret)


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message. `verified` is None where no secret was given; `problem` says what is wrong."""

    message_id: str
    verified: bool | None
    problem: str
    repeated: bool
    message: Any


class Listener:
    """Judges messages, and knows which came before."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._seen: set[str] = set()
        self.n_received = 0

    def receive(self, headers: dict[str, str], body: bytes) -> ReceivedMessage:
        """What is to be made of a request."""
        self.n_received += 1
        message_id = headers.get("webhook-id", "")
        verified: bool | None = None
        problem = "not verified: no secret was given"
        message: Any = None
        try:
            message = orjson.loads(body)
            if self._secret:
                verify(body, headers, self._secret)
                verified, problem = True, ""
        except orjson.JSONDecodeError:
            problem = "the body is not JSON"
        except InvalidSignature as exc:
            verified, problem = False, str(exc)
        repeated = message_id in self._seen
        self._seen.add(message_id)
        return ReceivedMessage(message_id, verified, problem, repeated, message)


def run_listener(options: ListenOptions) -> int:
    """Receive until Ctrl-C or enough came; the exit code is 1 if the port is taken."""
    console = Console(highlight=False, soft_wrap=True)
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    listener = Listener(options.secret)
    try:
        server = HTTPServer((LOOPBACK, options.port), _handler(listener, options, console))
    except OSError as exc:
        notes.print(f"cannot listen on port {options.port}: {exc}", markup=False)
        return 1
    with server:
        notes.print(f"listening on http://{LOOPBACK}:{server.server_address[1]}/ until Ctrl-C")
        try:
            while options.count is None or listener.n_received < options.count:
                server.handle_request()
        except KeyboardInterrupt:
            pass
    return 0


def render(received: ReceivedMessage) -> Text:
    """One line: verified or what is wrong, the type, the id, and whom it is about."""
    mark = {True: ("verified", "green"), False: ("REFUSED", "bold red"), None: ("unverified", "yellow")}
    line = Text.assemble(mark[received.verified], "  ")
    if isinstance(received.message, dict):
        data = received.message.get("data")
        line.append(f"{received.message.get('type')}  ", "bold")
        if isinstance(data, dict):
            line.append(f"{data.get('severity')}  {data.get('user_id')}  ")
    line.append(received.message_id, "dim")
    if received.repeated:
        line.append("  (a repeat: ignore it)", "yellow")
    if received.problem:
        line.append(f"  {received.problem}", "dim")
    return line


def _handler(listener: Listener, options: ListenOptions, console: Console) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _IDLE_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
                self._answer(413)
                return
            body = self.rfile.read(int(length))
            received = listener.receive({name.lower(): value for name, value in self.headers.items()}, body)
            self._answer(401 if received.verified is False else options.status)
            if options.as_json:
                line = {
                    "id": received.message_id,
                    "verified": received.verified,
                    "repeated": received.repeated,
                }
                console.out(
                    orjson.dumps(line | {"problem": received.problem, "message": received.message}).decode()
                )
            else:
                console.print(render(received))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """We print lines of our own."""

    return Handler
