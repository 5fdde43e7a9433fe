"""The whole OpenAPI document held against the running API: every operation, every check, and the links.

tests/api/contract has the settings: what is tried how often, and the few rules that JSON Schema cannot say.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_processes import ApiProgram
from contracts.settings import Settings
from known_shop import beating, fill
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
