"""What docs/subscriptions.md shows is what the API does: commands, the page's script, codes."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_makers import make_alert
from api_nursery import ApiNursery
from chromium import Chromium
from contracts.settings import Settings
from ops.stack.ports import pick_port
from services import lack, wait_until
from shop_state import ShopState

PAGE = (Path(__file__).parents[2] / "docs" / "subscriptions.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
SHOWN_ID = "b7c4d1a0e59f4c22a1f0b3d4"


@pytest.fixture
def nursery(settings: Settings, state: ShopState) -> Iterator[ApiNursery]:
    state.publish_alerts([make_alert(0, alert_id=SHOWN_ID)])
    state.flush()
    with ApiNursery(settings.model_copy(update={"api_port": pick_port()})) as nursery:
        nursery.start()
        yield nursery


def test_every_command_of_the_page_answers(nursery: ApiNursery, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        lack("no curl on this machine")
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        aimed = command.replace("localhost:8000", nursery.url)
        aimed = aimed.replace("curl -s", "curl --fail-with-body --max-time 3 -sS")
        result = subprocess.run(
            ["sh", "-c", aimed], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
        )
        is_stream = "/stream?" in command
        assert result.returncode == (28 if is_stream else 0), f"{command}: {result.stdout} {result.stderr}"
        if is_stream:
            assert result.stdout.startswith("retry: 2000\nid: ")
        elif ".csv" in command:
            assert (tmp_path / "alerts.csv").read_bytes().count(b"\r\n") == 2
        elif command.endswith("}'"):
            assert json.loads(result.stdout)["alert_id"] == SHOWN_ID


def test_the_script_of_the_page_goes_on_after_the_api_was_killed(
    nursery: ApiNursery, state: ShopState, tmp_path: Path
) -> None:
    (script,) = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
    script = script.replace("/my-ticket", "/v1/stream-tickets")
    seen = "seen.map((alert) => alert.alert_id)"
    with Chromium(tmp_path / "profile") as browser:
        browser.open(nursery.url)
        wait_until(lambda: browser.text("#updated") != "", 20, "a page of this origin")
        browser.evaluate(f"{{ globalThis.seen = []; globalThis.show = (a) => seen.push(a);\n{script} }} 0")
        wait_until(lambda: nursery.n_streams() == 2, 20, "the page's own stream and the script's")
        state.publish_alerts([make_alert(1)])
        state.flush()
        wait_until(lambda: browser.evaluate(seen) == ["id1"], 20, "the first alert")
        nursery.end(signal.SIGKILL)
        state.publish_alerts([make_alert(2)])
        state.flush()
        nursery.start()
        wait_until(lambda: len(browser.evaluate(seen)) > 1, 30, "the second alert")
        assert browser.evaluate(seen) == ["id1", "id2"]


def test_every_code_is_on_the_page() -> None:
    root = Path(__file__).parents[2]
    names = ("http/connection_limiter", "resources/alerts/tickets", "resources/alerts/problems")
    modules = [root / "api" / f"{name}.py" for name in names]
    tests = list((root / "tests" / "api").glob("test_alert_*.py"))
    texts = [path.read_text() for path in (*modules, *tests)]
    name = (
        r"(?:alert|ticket|streams|snooze|for_s|until|verdict|note|body|after|last_event_id|handling|min_\w+)"
    )
    found = {code for text in texts for code in re.findall(rf'"({name}\.[a-z_]+)"', text)}
    assert len(found) > 20
    assert {code for code in found if f"`{code}`" not in PAGE} == set()
