"""`storepulse keys`, and what `storepulse api` says before it listens wider than it may."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

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
        "key_prefix": f"pk_live_{key.key_id}",
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
    rotated = keys_json(tmp_path, "rotate", made["key_prefix"], "--overlap", "2")
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
        (("create", "x", "--app", "--origin", "https://a.example"), 2, "publishable"),
        (("create", "x", "--app", "--write-only"), 2, "choose one"),
        (("create", "x", "--write-only", "--scope", "alerts:read"), 2, "events:write"),
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


@pytest.mark.usefixtures("settings")
def test_the_first_key_says_what_it_changes_and_how_to_go_back(tmp_path: Path) -> None:
    first = keys(tmp_path, "create", "a", "--scope", "alerts:read")
    assert parse_key(first.stdout.strip()) is not None
    for word in (
        "first key",
        "401",
        "STOREPULSE_ALLOWED_ORIGINS",
        "STOREPULSE_API_KEY",
        "storepulse keys reset",
    ):
        assert word in first.stderr
    second = keys(tmp_path, "create", "b", "--scope", "alerts:read")
    assert "first key" not in second.stderr


@pytest.mark.usefixtures("settings")
def test_where_keys_are_needed_anyway_the_first_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOREPULSE_ROOT_KEY", ROOT_KEY)
    made = keys(tmp_path, "create", "a", "--scope", "alerts:read")
    assert made.exit_code == 0
    assert "first key" not in made.stderr
    assert "still requires a key" in keys(tmp_path, "reset", "--yes").stdout


@pytest.mark.usefixtures("settings")
def test_a_reset_forgets_every_key_if_it_is_meant(tmp_path: Path) -> None:
    for name in ("a", "b"):
        keys_json(tmp_path, "create", name, "--scope", "alerts:read")
    asked = keys(tmp_path, "reset")  # nobody answers
    assert asked.exit_code == 1
    assert len(keys_json(tmp_path, "list")) == 2
    done = keys(tmp_path, "reset", "--yes")
    assert (done.exit_code, done.stdout.split(".")[0]) == (0, "2 keys are deleted")
    assert "without a key" in done.stdout
    assert keys_json(tmp_path, "list") == []
    assert keys_json(tmp_path, "reset", "--yes") == {"removed": 0}
    assert "first key" in keys(tmp_path, "create", "a", "--scope", "alerts:read").stderr


@pytest.mark.usefixtures("settings")
def test_keys_that_only_send_events_are_of_three_kinds(tmp_path: Path) -> None:
    kinds = {
        "publishable": ("--publishable", "--origin", "https://shop.example"),
        "app": ("--app",),
        "write": ("--write-only",),
    }
    for kind, words in kinds.items():
        made = keys_json(tmp_path, "create", kind, *words)
        assert (made["kind"], made["scopes"]) == (kind, ["events:write"])
        assert made["may_purchase"] is (kind == "write")
        assert made["publishable"] is (kind == "publishable")
        assert made["api_key"].startswith(made["key_prefix"])
        trusted = keys_json(tmp_path, "create", kind, *words, "--allow-purchases")
        assert trusted["may_purchase"] is True
        assert keys_json(tmp_path, "revoke", made["key_prefix"])["state"] == "revoked"
    shown = keys(tmp_path, "list").stdout
    for part in ("from https://shop.example, no purchases", "from apps, no purchases", "in a URL or a body"):
        assert part in shown


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
