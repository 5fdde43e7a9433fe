"""The HTTP port of a process: `/metrics` for Prometheus, `/livez` and `/readyz` for who looks after it."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Probe:
    """A tiny server in a thread of its own: it answers also while the event loop is busy.

    `trouble` says in words what keeps the process from its work, and is empty while nothing does. It is
    called from other threads.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        alive: Callable[[], bool],
        trouble: Callable[[], str] = str,
    ) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(registry, alive, trouble))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, name="probe", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


def _handler(
    registry: CollectorRegistry, alive: Callable[[], bool], trouble: Callable[[], str]
) -> type[BaseHTTPRequestHandler]:
    def why_not_alive() -> str:
        return "" if alive() else "stopping"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif self.path == "/livez":
                self._say(why_not_alive())
            elif self.path == "/readyz":
                self._say(why_not_alive() or trouble())
            else:
                self._answer(404, "text/plain", b"not found\n")

        def _say(self, trouble: str) -> None:
            text = f"{trouble or 'ok'}\n"
            self._answer(503 if trouble else 200, "text/plain; charset=utf-8", text.encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not news."""

    return Handler
