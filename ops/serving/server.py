"""One server process of the API: from the first signal to an orderly end."""

import contextlib
import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from api.services import Application
from contracts.settings import Settings
from ops.serving import GRACE_S
from ops.serving.connection import ConnectionLimits, limited_connection
from stream.runtime.gc_tuning import tune_gc

BEAT_EVERY_S = 1
_SPARE_FILES = 128
"""Open files that are not clients: Kafka, Redis, libraries."""


class Server(uvicorn.Server):
    """Ends in the order that load balancers need, with exit code 0; a second signal ends at once.

    First readiness says no, then after `pre_stop_s` no more connections are taken, streams are ended, and
    requests under way are finished within `GRACE_S`.
    """

    def __init__(self, config: uvicorn.Config, app: Application, *, pre_stop_s: float = 0.0) -> None:
        super().__init__(config)
        self._lifetime = app.lifetime
        self._pre_stop_s = pre_stop_s
        self._asked_at_s: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Takes SIGTERM and SIGINT. Nothing is raised again at the end, so the exit code is 0."""
        del frame
        if self._asked_at_s is not None:
            os._exit(128 + sig)
        self.ask_to_end()

    def ask_to_end(self) -> None:
        """Begins the end; harmless when it has begun."""
        if self._asked_at_s is None:
            self._asked_at_s = time.monotonic()
            self._lifetime.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to close, asked by uvicorn ten times a second."""
        if self._asked_at_s is not None and time.monotonic() - self._asked_at_s >= self._pre_stop_s:
            self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve; what exists by then need not be looked at for garbage again."""
        await super().startup(sockets)
        tune_gc()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends streams, waits for requests, closes the application."""
        self._lifetime.stopping = True
        self._lifetime.closing.set()
        await super().shutdown(sockets)


def make_server(app: Application, settings: Settings, beat: Callable[[], None] | None = None) -> Server:
    """The server of this process; `beat` is called each second while the event loop turns."""

    async def call_beat() -> None:
        if beat is not None:
            beat()

    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http=limited_connection(
            ConnectionLimits(
                total=settings.api_max_connections, per_address=settings.api_max_connections_per_address
            )
        ),
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.api_trusted_proxies,
        timeout_keep_alive=settings.api_keep_alive_s,
        timeout_graceful_shutdown=GRACE_S,
        callback_notify=call_beat,
        timeout_notify=BEAT_EVERY_S,
    )
    return Server(config, app, pre_stop_s=settings.pre_stop_s)


def raise_file_limit(n_connections: int) -> None:
    """Lets this process open as many files as it may have clients, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n_connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def run_server(server: Server, sockets: Sequence[socket.socket] | None = None) -> int:
    """Serves until a signal; the exit code is 1 if it could not start, for a reason that was logged."""
    try:
        server.run(None if sockets is None else list(sockets))
    except SystemExit:  # uvicorn's word for a port in use or an application that does not start
        return 1
    return 0 if server.started else 1
