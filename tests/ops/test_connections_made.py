"""Whom the parts of a shop talk to: nobody but the services in their settings."""

import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from contracts.settings import Settings
from ops.stack.child import Child
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from plain_http import NO_TLS
from services import lack, wait_until

PARTS = ("worker", "api", "deliver")
WATCHED_S = 10.0
"""Longer than libraries take that report home: they begin with their import, or their first use."""
_CALL = re.compile(r"^\d+ +(?:connect|sendto|sendmsg|sendmmsg)\(.*sin6?_port=htons\((\d+)\)", re.MULTILINE)


@pytest.fixture
def traced(installation: Settings, tmp_path: Path) -> Iterator[tuple[Settings, dict[str, Path]]]:
    """Settings, and per part what it asked the system to connect to, while each runs and is in use."""
    strace = shutil.which("strace")
    if strace is None:
        lack("no strace on this machine to watch connections with")
    ports = {f"{name}_port": pick_port() for name in PARTS}
    settings = installation.model_copy(update=ports)
    # Either of the two would quieten a library that is not quiet by itself.
    begin = ["/usr/bin/env", "-u", "CI", "-u", "ORT_DISABLE_TELEMETRY", strace, "-f", "-qq"]
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    children, logs = [], {}
    for name in PARTS:
        logs[name] = tmp_path / f"{name}.trace"
        argv = [*begin, "-o", str(logs[name]), "-e", calls, sys.executable, "-P", "-m", "ops.cli", name]
        children.append(Child(name, argv, tmp_path / f"{name}.log", env=settings_environment(settings)))
        children[-1].start()
    yield settings, logs
    for child in children:
        child.kill()


def test_no_part_talks_to_anybody_but_its_services(traced: tuple[Settings, dict[str, Path]]) -> None:
    settings, logs = traced
    url = f"http://127.0.0.1:{settings.api_port}"
    wait_until(lambda: _is_ready(url), 90, "the shop to be ready")
    sent = httpx.post(
        f"{url}/v1/events", timeout=30,
        json={"event_id": "e1", "event_type": "cart", "event_time": int(time.time() * 1_000), "user_id": "u1",
              "product_id": "p1", "price": 10},
    )  # fmt: skip
    assert sent.status_code == 202, sent.text
    wait_until(
        lambda: httpx.get(f"{url}/v1/users/u1/next-action", timeout=30, verify=NO_TLS).status_code == 200, 60,
        "the model to be asked",
    )  # fmt: skip
    services = {int(settings.bootstrap.rpartition(":")[2]), urlsplit(settings.redis_url).port}
    ended_s = time.monotonic() + WATCHED_S
    while time.monotonic() < ended_s:
        found = {name: {int(port) for port in _CALL.findall(log.read_text())} for name, log in logs.items()}
        assert {name: ports - services for name, ports in found.items()} == {name: set() for name in PARTS}
        time.sleep(0.5)
    assert found["worker"] == found["api"] == services


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, verify=NO_TLS).status_code == 200
    except httpx.HTTPError:
        return False
