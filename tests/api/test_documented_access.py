"""What docs/access.md shows is what there is: commands, scopes and codes."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.identity.principal import Scope
from contracts.settings import Settings
from ops.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "access.md").read_text()
CODE = re.compile(r"(keys?|host|origin|rate|quota|purchase)\.[a-z_]+$")
COMMANDS = re.findall(r"^storepulse (keys .+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_are_understood(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STOREPULSE_REDIS_URL", "redis://127.0.0.1:1/0")
    result = CliRunner().invoke(app, [*shlex.split(command), "--state", str(tmp_path)])
    assert result.exit_code == 1, result.output  # 2 would be a command that nobody understands
    assert "Redis does not answer" in result.stderr or "give the id" in result.stderr


def test_every_scope_and_setting_is_on_the_page() -> None:
    assert len(COMMANDS) == 10
    assert {scope for scope in Scope if f"| `{scope}` |" not in PAGE} == set()
    settings = Settings()
    assert f"{settings.key_requests_per_s} requests a second" in PAGE
    assert f"{settings.key_events_per_minute:,} events a minute" in PAGE


def test_every_code_of_access_is_on_the_page_and_no_other() -> None:
    used = set()
    for path in (ROOT / "api" / "identity").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value):
                used.add(node.value)
    used |= {"key.expired", "key.revoked", "key.publishable"}
    named = {code for code in re.findall(r"`([a-z_]+\.[a-z_]+)`", PAGE) if CODE.match(code)}
    assert named == used
