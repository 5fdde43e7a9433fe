"""What docs/predictions.md shows is what the API does: commands, answers and codes."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
PAGE = (ROOT / "docs" / "predictions.md").read_text()
EXAMPLES: list[tuple[str, str]] = re.findall(r"```bash\n(.*?)```\n(?:```json\n(.*?)```)?", PAGE, re.DOTALL)
CODE = re.compile(r"(body|actions?|after_s|event_time|score|user)\.[a-z_]+$")
RESOURCES = ROOT / "api" / "resources"
MODULES = ("predictions/sequences", "predictions/next_action_model", "users/routes", "alerts/routes")
LISTS = ROOT / "api" / "http" / "element_lists.py"
"""Names codes by the field of a list, here `actions`."""
HOST = (RESOURCES / "predictions" / "next_action_model.py").read_text()


@pytest.fixture
def served(settings: Settings, state: ShopState) -> Iterator[ServedApi]:
    """The API with the visitor and the alert of the page."""
    put_scored_visitor(state, "visitor-17")
    state.publish_alerts([make_alert(0)])
    state.flush()
    served = ServedApi(settings.model_copy(update={"api_port": pick_port()}), GivenModel())
    served.start()
    yield served
    served.stop()


def shape(value: Any) -> Any:
    """Keys and kinds of a JSON value; of a list, the shape of its first element."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def test_every_command_of_the_page_answers_and_looks_as_shown(served: ServedApi) -> None:
    if shutil.which("curl") is None:
        lack("no curl on this machine")
    assert len(EXAMPLES) == 6
    for command, shown in EXAMPLES:
        aimed = command.replace("localhost:8000", served.url).replace("curl -s", "curl -sS --fail-with-body")
        result = subprocess.run(["sh", "-c", aimed], capture_output=True, text=True, check=False, timeout=30)
        assert result.returncode == 0, f"{command}: {result.stdout} {result.stderr}"
        if shown:
            assert shape(json.loads(result.stdout)) == shape(json.loads(shown)), command


def test_every_code_of_these_paths_is_on_the_page() -> None:
    named = set()
    for module in MODULES:
        for node in ast.walk(ast.parse((RESOURCES / f"{module}.py").read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value):
                named.add(node.value)
    for node in ast.walk(ast.parse(LISTS.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            code = f"actions{node.value}" if node.value.startswith(".") else node.value
            if CODE.fullmatch(code):
                named.add(code)
    assert len(named) > 16
    assert {code for code in named if f"`{code}`" not in PAGE} == set()
    for code in ("model.unavailable", "model.busy", "model.slow", "model.failed"):
        assert f'_unavailable("{code.partition(".")[2]}"' in HOST
        assert f"`{code}`" in PAGE
