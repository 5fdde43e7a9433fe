"""`storepulse privacy`: what it finds, and what its exit codes say."""

from collections.abc import Iterator

import pytest
from redis import Redis
from typer.testing import CliRunner

from contracts.keys import Keys
from contracts.settings import Settings
from ops.cli import app
from ops.stack.record import settings_environment
from services import uninstall, unique_settings

USER = "visitor-17"


@pytest.fixture
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An installation without Kafka, which the commands find in the environment."""
    settings = unique_settings("127.0.0.1:1", redis_url, partitions=4)
    for name, value in settings_environment(settings).items():
        monkeypatch.setenv(name, value)
    yield settings
    uninstall(settings, topics=False)


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["privacy", *args])
    return result.exit_code, result.output


def test_check_finds_a_visitor_and_says_so_by_its_exit_code(settings: Settings) -> None:
    keys = Keys(settings.namespace, settings.partitions)
    assert run("check", USER) == (0, "not found in any key or value\n")
    with Redis.from_url(settings.redis_url) as client:
        client.set(keys.visitor(USER), b"state")
        client.zadd(keys.active(0), {USER: 1})
    code, output = run("check", USER)
    assert code == 1
    assert keys.visitor(USER) in output
    assert keys.active(0) in output
    assert "found in 2 places" in output


@pytest.mark.usefixtures("settings")
def test_a_short_id_is_told_to_be_one() -> None:
    code, output = run("check", "17")
    assert (code, "a short id" in output) == (0, True)


@pytest.mark.usefixtures("settings")
def test_what_is_not_known_or_cannot_be_recorded_is_a_failure() -> None:
    code, output = run("status", "nothing")
    assert (code, "no deletion" in output) == (1, True)
    code, output = run("delete", USER)
    assert (code, "not acknowledged" in output) == (1, True)
    code, output = run("delete", " ")
    assert (code, "user_id.blank" in output) == (1, True)
