"""The whole OpenAPI document held against the running API: every operation, every check, and the links.

tests/api/contract has the settings: what is tried how often, and the few rules that JSON Schema cannot say.
"""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alert_makers import make_alert
from api_processes import ApiProgram
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType
from contracts.predictions import Predictions
from contracts.scores import Score
from contracts.settings import Settings
from contracts.visitor import Action, Session, Totals, Visitor, pack_actions
from services import install, uninstall, unique_settings
from shop_state import ShopState

ROOT_KEY = "contract-" + "k" * 40
SETTINGS = Path(__file__).parent / "contract"
TIME_LIMIT_S = 600
OVERRIDES = {
    "partitions": 4,
    "key_requests_per_s": 0,
    "key_events_per_minute": 0,
    "stream_max_s": 1.0,
    "webhook_allow_private": True,
    "webhook_endpoints_max": 500,
    "webhook_timeout_s": 1.0,
    "log_requests": 0.0,
}


def fill(state: ShopState) -> None:
    """A visitor with a score, and alerts: what the settings of schemathesis name."""
    now = wall_clock_ms()
    score = Score("m-1", now, 1, 1, (0.41, 0.08, 0.02, 0.06, 0.43), 0.18, (("cart", 0.7),))
    session = Session(None, 1, now, now, (1, 0, 0, 0, 0), 0, {}, {})
    tail = pack_actions([Action(now, 0, b"b" * 8, "p2", 1, None, None, None, None, None)])
    totals = Totals(now, now, session.counts, 0, {})
    visitor = Visitor(totals, None, session, tail, False, 0, b"", {}, Predictions(score))
    state.put_visitor("visitor-17", visitor)
    state.add_events([Event(f"e{n}", EventType.VIEW, now, f"v{n}", f"p{n}") for n in range(20)])
    state.publish_alerts([make_alert(number) for number in range(5)])
    state.flush()


@contextmanager
def beating(state: ShopState) -> Iterator[None]:
    """A worker that is well, as far as the API can see."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(2):
            state.beat("w1", model="m-1", scoring="ok", partitions=tuple(range(4)))
            state.flush()

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture
def served(kafka_bootstrap: str, redis_url: str, tmp_path: Path) -> Iterator[ApiProgram]:
    """The API as a program of its own on real Kafka and Redis, where every request needs a key."""
    settings: Settings = install(unique_settings(kafka_bootstrap, redis_url, **OVERRIDES))
    state = ShopState(settings)
    fill(state)
    with (
        beating(state),
        ApiProgram(settings, tmp_path / "api", env={"STOREPULSE_ROOT_KEY": ROOT_KEY}) as program,
    ):
        yield program
    state.close()
    uninstall(settings)


def test_the_api_does_what_its_document_says(
    served: ApiProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "schemathesis"
    shutil.copytree(SETTINGS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("STOREPULSE_ROOT_KEY", ROOT_KEY)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
    options = ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--no-color"]
    result = subprocess.run(
        [*command, f"{served.url}/openapi.json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT_S,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    selected = re.search(r"Selected: (\d+)/(\d+)", result.stdout)
    tested = re.search(r"Tested: (\d+)", result.stdout)
    assert selected is not None
    assert tested is not None
    assert selected[1] == selected[2] == tested[1]
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in result.stdout
    assert "Traceback" not in served.log()
    assert " 500 in " not in served.log()
