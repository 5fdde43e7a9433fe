"""What docs/webhooks.md shows is what is sent and answered: receivers, codes, limits."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from alert_makers import make_alert
from contracts.settings import Settings
from delivery.webhooks.deliveries import DeliveryStatus, Result
from delivery.webhooks.endpoints import DisabledReason
from delivery.webhooks.messages import MAX_BODY_BYTES, make_test_message, to_message
from delivery.webhooks.signing import make_secret, sign
from ops.cli import app
from ops.stack.ports import pick_port
from services import lack, wait_until

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "webhooks.md").read_text()
BODY = make_test_message("1", 1_760_000_000_000).body


def sample(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


@contextmanager
def running(command: list[str], secret: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A sample as a process, and its URL."""
    port = pick_port()
    environment = os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        url = f"http://127.0.0.1:{port}/"
        try:
            wait_until(lambda: post(url, {}, b"") == 401, 20, "the sample to answer")
            yield url, process
        finally:
            process.kill()


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """The status of the answer; 0 without one."""
    try:
        return httpx.post(url, headers=headers, content=body).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_receivers_of_the_page_take_what_is_signed_and_nothing_else(
    language: str, tmp_path: Path
) -> None:
    program = sys.executable if language == "python" else shutil.which("node")
    if program is None:
        lack("no node on this machine")
    path = tmp_path / ("receiver.py" if language == "python" else "receiver.mjs")
    path.write_text(sample(language))
    secret, old, now_s = make_secret(), make_secret(), int(time.time())
    good = sign("a-firing", now_s, BODY, [secret])
    refused = [
        good | {"webhook-id": "b-firing"},
        good | {"webhook-timestamp": str(now_s + 1)},
        good | {"webhook-timestamp": "soon"},
        good | {"webhook-signature": "v1,"},
        good | {"webhook-signature": "v1,%%% v2 ,"},
        sign("a-firing", now_s - 400, BODY, [secret]),
        sign("a-firing", now_s, BODY, [old]),
        {},
    ]
    with running([program, str(path)], secret) as (url, process):
        assert [post(url, headers, BODY) for headers in refused] == [401] * len(refused)
        assert post(url, good, BODY + b" ") == 401
        assert post(url, good, BODY) == 204
        assert post(url, good, BODY) == 204  # a repeat is taken, and dropped
        assert post(url, sign("b-firing", now_s, BODY, [old, secret]), BODY) == 204
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(2)]
        process.kill()
        assert lines + process.stdout.read().split() == ["webhook.test"] * 2


def test_every_code_and_kind_of_error_is_on_the_page() -> None:
    codes = set()
    folders = (ROOT / "delivery" / "webhooks", ROOT / "api" / "resources" / "webhooks")
    for path in (path for folder in folders for path in folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UnsafeTarget":
                codes.add(f"url.{ast.literal_eval(node.args[0])}")
            elif isinstance(node, ast.Constant) and re.fullmatch(
                r"(webhook|delivery)\.(?!test)[a-z_]+", str(node.value)
            ):
                codes.add(str(node.value))
    assert len(codes) > 14
    words = codes | set(Result) - {Result.DELIVERED} | set(DisabledReason) | {DeliveryStatus.SKIPPED}
    assert {word for word in words if f"`{word}`" not in PAGE} == set()


def test_every_setting_of_webhooks_is_on_the_page() -> None:
    names = {name for name in Settings.model_fields if name.startswith("webhook_")} | {"deliver_port"}
    assert {name for name in names if f"STOREPULSE_{name.upper()}" not in PAGE} == set()


def test_every_command_is_on_the_page() -> None:
    listed = CliRunner().invoke(app, ["webhooks", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    commands = set(re.findall(r"^\W*([a-z]+)  ", listed.split("Commands")[1], re.MULTILINE))
    assert {"add", "listen", "replay"} <= commands
    assert {name for name in commands if f"`{name}`" not in PAGE and f"webhooks {name}" not in PAGE} == set()


def test_no_body_is_larger_than_the_page_says() -> None:
    assert f"{MAX_BODY_BYTES:,} bytes" in PAGE
    huge = make_alert(1, reasons=tuple("x" * 5_000 for _ in range(10)))
    message = to_message(huge)
    assert message is not None
    assert len(message.body) <= MAX_BODY_BYTES
    assert b'"reasons":[],"offer":null' in message.body
    assert to_message(make_alert(1, alert_id="with.dots")) is None
