"""What docs/collect.md shows is what the API for events does: commands, answers and codes."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.resources.events.free_fields import ADDRESS_FIELDS, MAX_DEPTH, MAX_FIELDS
from api.resources.events.receipts import Receipt
from contracts.settings import Settings
from event_log import read_event_log
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import lack

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "collect.md").read_text()
EXAMPLES: list[tuple[str, str]] = re.findall(r"```bash\n(.*?)```\n(?:```json\n(.*?)```)?", PAGE, re.DOTALL)
CODE = re.compile(r"(body|batch|sent_at|key|event|events|items|collector|kafka|content_[a-z]+)\.[a-z_]+")
_INGESTION = ("payloads", "in_flight", "publisher", "validation", "free_fields", "routes")
MODULES = ("http/bodies", *[f"resources/events/{name}" for name in _INGESTION])


@pytest.fixture
def served(installation: Settings) -> Iterator[ServedApi]:
    served = ServedApi(installation.model_copy(update={"api_port": pick_port()}))
    served.start()
    yield served
    served.stop()


def run(command: str, url: str) -> str:
    if shutil.which("curl") is None:
        lack("no curl on this machine")
    aimed = command.replace("localhost:8000", url).replace("curl -s", "curl -sS --fail-with-body")
    result = subprocess.run(["sh", "-c", aimed], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, f"{command}: {result.stdout} {result.stderr}"
    return result.stdout


def test_every_command_of_the_page_answers_as_shown(served: ServedApi, installation: Settings) -> None:
    assert len(EXAMPLES) == 7
    for command, shown in EXAMPLES:
        answer = run(command, served.url)
        if "tail" in command:
            assert answer.startswith("event: ready\n")
            continue
        receipt: dict[str, Any] = json.loads(answer)
        Receipt.model_validate(receipt)
        assert receipt["accepted"] >= 1
        if shown:
            assert {**receipt, "request_id": ""} == {**json.loads(shown), "request_id": ""}, command
    lines = [e for e in read_event_log(installation) if e.order_id == "o-1042"]
    assert sum(e.quantity * (e.price_minor or 0) for e in lines) == 5_000
    assert len(read_event_log(installation)) == 5 + len(lines)


def test_every_code_of_ingestion_is_on_the_page() -> None:
    named = set()
    for module in MODULES:
        for node in ast.walk(ast.parse((ROOT / "api" / f"{module}.py").read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                named.add(node.value)
    named -= {"event.not_object", "event.not_json"}  # of the contract, and on its page
    assert len(named) > 15
    assert {code for code in named if f"`{code}`" not in PAGE} == set()


def test_members_and_limits_are_on_the_page() -> None:
    assert {name for name in Receipt.model_fields if f"`{name}`" not in PAGE} == {"dry_run"}
    assert {name for name in ADDRESS_FIELDS if f"`{name}`" not in PAGE} == set()
    assert f"{MAX_FIELDS} fields with those inside, {MAX_DEPTH} levels" in PAGE
