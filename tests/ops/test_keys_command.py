"""`storepulse keys`, and what `storepulse api` says before it listens wider than it may."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from typer.testing import CliRunner

from api.identity.key_text import KeyKind, parse_key
from api_keys import ROOT_KEY
from contracts.settings import Settings
from ops.api_client.authorization import authorization
from ops.cli import app
from ops.serving.exposure import explain_exposure
from services import uninstall, unique_settings

WIDE = {"api_host": "0.0.0.0"}  # noqa: S104 - it must not start


@pytest.fixture
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    settings = unique_settings("127.0.0.1:1", redis_url)
    monkeypatch.setenv("STOREPULSE_REDIS_URL", redis_url)
    monkeypatch.setenv("STOREPULSE_NAMESPACE", settings.namespace)
    yield settings
    uninstall(settings, topics=False)


def keys(tmp_path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["keys", *words, "--state", str(tmp_path)])


def keys_json(tmp_path: Path, *words: str) -> Any:
    result = keys(tmp_path, *words, "--json")
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout)


@pytest.mark.usefixtures("settings")
def test_a_new_key_alone_is_on_stdout_and_never_shown_again(tmp_path: Path) -> None:
    made = keys(tmp_path, "create", "a server", "--scope", "insights:read", "--scope", "alerts:read")
    assert made.exit_code == 0
    key = parse_key(made.stdout.strip())
    assert key is not None
    assert key.kind is KeyKind.SECRET
    assert "it cannot be shown again" in made.stderr
    for words in (("list",), ("list", "--json"), ("revoke", key.key_id)):
        shown = keys(tmp_path, *words)
        assert shown.exit_code == 0
        assert key.key_id in re.sub(r"\s", "", shown.stdout)
        assert key.secret not in shown.output
        assert "digest" not in shown.output


@pytest.mark.usefixtures("settings")
def test_json_says_everything_but_hashes(tmp_path: Path) -> None:
    shop = ["--origin", "https://Shop.example", "--origin", "https://shop.example:443"]
    limits = ["--requests-per-s", "50", "--events-per-day", "0"]
    made = keys_json(tmp_path, "create", "web shop", "--publishable", *shop, "--expires", "90d", *limits)
    key = parse_key(made.pop("api_key"))
    assert key is not None
    assert key.kind is KeyKind.PUBLISHABLE
    assert made["expires_at"] > made["created_at"]
    (listed,) = keys_json(tmp_path, "list")
    assert listed == made
    del made["created_at"], made["expires_at"]
    assert made == {
        "id": key.key_id,
        "key": f"pk_live_{key.key_id}",
        "name": "web shop",
        "state": "active",
        "kind": "publishable",
        "publishable": True,
        "scopes": ["events:write"],
        "origins": ["https://shop.example"],
        "may_purchase": False,
        "revoked_at": None,
        "last_used_at": None,
        "requests_per_s": 50,
        "events_per_minute": None,
        "events_per_day": 0,
    }


@pytest.mark.usefixtures("settings")
def test_a_key_is_rotated_and_revoked_by_its_id_or_name(tmp_path: Path) -> None:
    made = keys_json(tmp_path, "create", "a", "--scope", "alerts:read")
    rotated = keys_json(tmp_path, "rotate", made["key"], "--overlap", "2")
    old, new = parse_key(made["api_key"]), parse_key(rotated["api_key"])
    assert old is not None
    assert new is not None
    assert old.key_id == new.key_id
    assert old.secret != new.secret
    assert keys_json(tmp_path, "revoke", made["id"])["state"] == "revoked"
    again = keys(tmp_path, "rotate", made["id"])
    assert again.exit_code == 1
    assert "revoked" in again.stderr


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "x"), 2, "at least one scope"),
        (("create", "x", "--publishable"), 2, "origins"),
        (("create", "x", "--publishable", "--origin", "http://shop.example"), 2, "https"),
        (("create", "x", "--scope", "alerts:read", "--origin", "https://a.example"), 2, "publishable"),
        (("create", "x", "--scope", "everything"), 2, "everything"),
        (("create", "x", "--scope", "alerts:read", "--expires", "1d0"), 2, "RFC 3339"),
        (("create", "x", "--scope", "alerts:read", "--expires", "2001-01-01T00:00:00Z"), 2, "future"),
        (("revoke", "nobody000000"), 1, "no key has the id"),
        (("revoke", "sk_live_nobody000000_secret"), 1, "never its secret"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    result = keys(tmp_path, *words)
    assert result.exit_code == code
    assert said in re.sub(r"[\s│]+", " ", result.output)


def test_without_redis_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREPULSE_REDIS_URL", "redis://127.0.0.1:1/0")
    result = keys(tmp_path, "list")
    assert result.exit_code == 1
    assert "Redis does not answer" in result.stderr


def test_the_api_does_not_listen_wider_without_a_key(tmp_path: Path, settings: Settings) -> None:
    assert explain_exposure(settings) is None
    wide = settings.model_copy(update=WIDE)
    said = explain_exposure(wide)
    assert said is not None
    assert "STOREPULSE_ROOT_KEY" in said
    assert "storepulse keys create" in said
    page = ("--publishable", "--origin", "https://shop.example")
    keys_json(tmp_path, "create", "a page", *page)
    assert explain_exposure(wide) is not None  # it lets nobody look after the installation
    made = keys_json(tmp_path, "create", "a server", "--scope", "operations:read")
    assert explain_exposure(wide) is None
    keys_json(tmp_path, "revoke", made["id"])
    assert explain_exposure(wide) is not None
    assert explain_exposure(unique_settings("x:1", settings.redis_url, root_key=ROOT_KEY, **WIDE)) is None


def test_the_api_that_cannot_ask_does_not_listen_wider_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREPULSE_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("STOREPULSE_API_HOST", WIDE["api_host"])
    from contracts.settings import get_settings

    get_settings.cache_clear()
    result = CliRunner().invoke(app, ["api"])
    get_settings.cache_clear()
    assert result.exit_code == 1
    assert "will not listen" in result.stderr


def test_commands_show_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert authorization(Settings()) == {}
    monkeypatch.setenv("STOREPULSE_ROOT_KEY", ROOT_KEY)
    assert authorization(Settings()) == {"Authorization": f"Bearer {ROOT_KEY}"}
    monkeypatch.setenv("STOREPULSE_API_KEY", "sk_live_x")
    assert authorization(Settings()) == {"Authorization": "Bearer sk_live_x"}


@pytest.mark.parametrize("value", ["planted-secret-too-short", "planted secret with spaces in it, 32 long"])
def test_a_bad_root_key_is_refused_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("STOREPULSE_ROOT_KEY", value)
    with pytest.raises(ValueError, match="root_key") as caught:
        Settings()
    assert "planted" not in str(caught.value)


def test_the_record_of_a_stack_holds_no_keys() -> None:
    from ops.stack.record import settings_environment, settings_fields

    settings = unique_settings("x:1", "redis://x/0", root_key=ROOT_KEY, api_key="sk_live_x")
    assert {"root_key", "api_key", "redis_password"}.isdisjoint(settings_fields(settings))
    assert ROOT_KEY not in str(settings_environment(settings))
