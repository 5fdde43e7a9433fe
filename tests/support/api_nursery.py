"""API processes that start in a moment, to be killed often: forked from one that has imported everything."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Self

import httpx
import psutil

from api.registry import find_resources
from contracts.settings import Settings, get_settings
from ops.stack.record import settings_environment
from plain_http import NO_TLS
from services import wait_until

ROOT = Path(__file__).parents[2]


class ApiNursery:
    """Starts and ends the API of the settings' port, each time in a process of its own; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://127.0.0.1:{settings.api_port}"
        self._settings = settings

    def __enter__(self) -> Self:
        self._nurse = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ
            | settings_environment(self._settings)
            | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support")))},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._nurse.stdin is not None
        self._nurse.stdin.close()  # it ends its child too
        self._nurse.wait(20)
        assert self._nurse.stdout is not None
        self._nurse.stdout.close()

    def start(self) -> int:
        """The process id of a new API; returns when it answers."""
        pid = int(self._ask("start"))
        wait_until(self._answers, 20, "the API")
        return pid

    def end(self, number: signal.Signals) -> None:
        """Sends the API a signal and returns when it is gone."""
        self._ask(number.name)

    def debug(self) -> dict[str, Any]:
        """Tasks, memory and connections of the API process."""
        fields: dict[str, Any] = httpx.get(f"{self.url}/debug", timeout=10, verify=NO_TLS).json()
        return fields

    def n_streams(self) -> int:
        """Open alert streams, by the API's own count."""
        metrics = httpx.get(f"{self.url}/metrics", timeout=10, verify=NO_TLS).text
        return int(float(metrics.partition("\nstorepulse_api_sse_clients ")[2].split("\n")[0]))

    def _ask(self, order: str) -> str:
        assert self._nurse.stdin is not None
        assert self._nurse.stdout is not None
        self._nurse.stdin.write(f"{order}\n")
        self._nurse.stdin.flush()
        answer = self._nurse.stdout.readline()
        assert answer, "the process that forks the API is gone"
        return answer

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez", timeout=1, verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False


def _serve() -> NoReturn:
    from api.app import create_app
    from api.services import Application
    from ops.serving.server import make_server, run_server
    from rule_model import GivenModel

    app: Application = create_app(get_settings(), GivenModel())

    @app.get("/debug")
    async def debug() -> dict[str, int]:
        gc.collect()
        process = psutil.Process()
        established = [c for c in process.net_connections("tcp") if c.laddr.port == get_settings().api_port]
        return {
            "tasks": len(asyncio.all_tasks()),
            "rss_bytes": process.memory_info().rss,
            "connections": sum(c.status == psutil.CONN_ESTABLISHED for c in established),
        }

    os._exit(run_server(make_server(app, get_settings())))


def _nurse() -> None:
    for name in ("api.app", "ops.serving.server", "rule_model"):
        import_module(name)  # here, so that the forks need not
    find_resources(get_settings())  # which imports theirs
    child = 0
    for order in map(str.strip, sys.stdin):
        if order == "start":
            child = os.fork()
            if child == 0:
                _serve()
            answer = child
        else:
            os.kill(child, signal.Signals[order])
            answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            child = 0
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _nurse()
