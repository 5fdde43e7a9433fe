"""What docs/api.md begins with works as it stands: commands for each kind of user."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_makers import make_alert
from contracts.settings import Settings
from ops.stack.ports import pick_port
from rule_model import GivenModel
from scored_visitor import put_scored_visitor
from served_api import ServedApi
from services import lack
from shop_state import ShopState

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
NO_NAMES = "url.no_address"
"""What an endpoint is answered on a machine that can resolve no names."""


@pytest.fixture
def served(installation: Settings) -> Iterator[ServedApi]:
    """The API on real Kafka, with a scored visitor and an alert."""
    state = ShopState(installation)
    put_scored_visitor(state, "you")
    state.publish_alerts([make_alert(0)])
    state.flush()
    served = ServedApi(installation.model_copy(update={"api_port": pick_port()}), GivenModel())
    served.start()
    yield served
    served.stop()
    state.close()


def test_every_command_answers(served: ServedApi) -> None:
    if shutil.which("curl") is None:
        lack("no curl on this machine")
    assert len(COMMANDS) > 8
    for command in COMMANDS:
        aimed = command.replace("localhost:8000", served.url.partition("//")[2])
        aimed = re.sub(r"curl -s(N?)", r"curl -sS\1 --fail-with-body --max-time 3", aimed)
        result = subprocess.run(["sh", "-c", aimed], capture_output=True, text=True, check=False, timeout=30)
        said = f"{command}: {result.stdout} {result.stderr}"
        if "/stream" in command:  # it never ends
            assert result.returncode == 28, said
            assert "event: alert" in result.stdout
        elif "/webhooks" in command and result.returncode:
            assert json.loads(result.stdout)["code"] == NO_NAMES, said
        else:
            assert result.returncode == 0, said
            assert json.loads(result.stdout)


def test_every_page_it_names_is_there() -> None:
    named = re.findall(r"\]\(([a-z-]+\.md)\)", PAGE)
    assert len(set(named)) > 8
    assert [name for name in named if not (ROOT / "docs" / name).is_file()] == []
