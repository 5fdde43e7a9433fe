"""The file `.env`: every command started beside it reads it, and what is set in the environment wins."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.stack import env_file
from ops.stack.env_file import load_env_file
from ops.stack.record import StackRecord, find_settings, part_record, read_record
from services import wait_until

ROOT_KEY = "r" * 40


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("STOREPULSE_")]:
        monkeypatch.delenv(name)
    known = dict(os.environ)
    monkeypatch.setattr(env_file, "_from_file", set())
    yield
    for name in os.environ.keys() - known.keys():
        del os.environ[name]


def bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("STOREPULSE_")}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *words],
        cwd=folder,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_settings_are_read_as_compose_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_bytes(
        b"\xef\xbb\xbf# a comment\r\nSTOREPULSE_CURRENCY=USD # dollars\r\n"
        b"export STOREPULSE_TIMEZONE='Europe/Berlin'\r\nSTOREPULSE_GROUP=theirs\r\n"
        b"API_HOST_PORT=8100\r\nSTOREPULSE_ROTKEY=x\r\n"
    )
    monkeypatch.setenv("STOREPULSE_GROUP", "mine")
    assert load_env_file(path) == ["STOREPULSE_ROTKEY is not a setting, see .env.example"]
    settings = find_settings(tmp_path)
    assert (settings.currency, settings.timezone, settings.group) == ("USD", "Europe/Berlin", "mine")
    assert "API_HOST_PORT" not in os.environ
    assert load_env_file(tmp_path / "absent") == []


def test_lines_that_set_nothing_are_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STOREPULSE_CURRENCY\nstorepulse_group=g\n")
    said = run(tmp_path, "version").stderr.splitlines()
    assert said == [
        ".env: STOREPULSE_CURRENCY has no value: write STOREPULSE_CURRENCY=VALUE",
        ".env: storepulse_group is not a setting, see .env.example",
    ]


def test_what_a_file_leaves_open_is_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "STOREPULSE_CURRENCY=USD\nSTOREPULSE_CURRENCY=EUR\nSTOREPULSE_GROUP: g\nSTOREPULSE-GROUP=g\n"
        "STOREPULSE_REDIS_PASSWORD=a${NOBODY_SET_THIS}b\nTHEIRS: 1\nTHEIRS=a\nTHEIRS=${NOTHING}\n"
    )
    said = run(tmp_path, "version").stderr.splitlines()
    assert said == [
        ".env: STOREPULSE_CURRENCY is set twice, the last one counts",
        ".env: line 3 is not NAME=VALUE",
        ".env: STOREPULSE_REDIS_PASSWORD refers to NOBODY_SET_THIS, which is not set; "
        "put the value into single quotes if it is meant as it is",
        ".env: STOREPULSE-GROUP is not a setting, see .env.example",
    ]


def test_a_value_in_single_quotes_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOREPULSE_REDIS_PASSWORD", "")
    monkeypatch.delenv("STOREPULSE_REDIS_PASSWORD")
    path = tmp_path / ".env"
    path.write_text("NAME=g\nSTOREPULSE_GROUP=${NAME}\nSTOREPULSE_REDIS_PASSWORD='a${NAME}$b'\n")
    assert load_env_file(path) == []
    settings = find_settings(tmp_path)
    assert settings.group == "g"
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == "a${NAME}$b"


@pytest.mark.parametrize("content", [b"STOREPULSE_CURRENCY=U\0SD\n", b"\xff\xfeS\0T\0", b"# \xfc\n"])
def test_a_file_that_is_no_text_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    refused = run(tmp_path, "version")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith(".env cannot be read: ")


def test_a_stack_that_runs_goes_before_the_broker_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".env"
    path.write_text("STOREPULSE_BOOTSTRAP=kafka.example:9092\n")
    load_env_file(path)
    assert find_settings(tmp_path).bootstrap == "kafka.example:9092"
    StackRecord(part_record("stack", "", os.getpid()), (), {"bootstrap": "127.0.0.1:29000"}).write(tmp_path)
    assert find_settings(tmp_path).bootstrap == "127.0.0.1:29000"
    monkeypatch.setattr(env_file, "_from_file", set())
    assert find_settings(tmp_path).bootstrap == "kafka.example:9092"


def test_a_setting_that_cannot_be_is_named_in_one_line_without_its_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STOREPULSE_ROOT_KEY=hush\nSTOREPULSE_TYPO=1\nSTOREPULSE_BOOTSTRAP=a:1\n")
    done = run(tmp_path, "status")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        ".env: STOREPULSE_TYPO is not a setting, see .env.example",
        "STOREPULSE_ROOT_KEY: Value should have at least 32 items after validation, not 4",
    ]
    (tmp_path / ".env").write_bytes(b"STOREPULSE_GROUP=\xff\n")
    done = run(tmp_path, "status")
    assert done.returncode == 2
    assert done.stderr.startswith(".env cannot be read: ")


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "absent.csv"],
        ["simulate"],
        ["rejected", "ls"],
        ["rejected", "show", "x"],
        ["rejected", "replay"],
        ["topics"],
        ["status"],
        ["events", "tail"],
        ["keys", "list"],
        ["keys", "create", "x", "--scope", "alerts:read"],
        ["privacy", "check", "u"],
        ["privacy", "delete", "u"],
    ],
)
def test_without_a_stack_and_a_named_broker_nothing_is_written_anywhere(
    tmp_path: Path, words: list[str]
) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("no stack is running in .storepulse, and no other installation is set")
    assert "STOREPULSE_BOOTSTRAP" in done.stderr


def test_a_simulation_into_a_file_needs_no_installation(tmp_path: Path) -> None:
    done = run(tmp_path, "simulate", "--out", "e.jsonl", "--duration", "60")
    assert done.returncode == 0
    assert (tmp_path / "e.jsonl").stat().st_size > 1_000


def test_up_takes_the_root_key_of_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"STOREPULSE_ROOT_KEY={ROOT_KEY}\nSTOREPULSE_TIMEZONE=Europe/Berlin\n")
    state = tmp_path / ".storepulse"
    command = [sys.executable, "-m", "ops.cli", "up", "--workers", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=bare_environment(), stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        while "Ctrl-C" not in (line := up.stdout.readline()):
            assert line, "up ended early"
        record = read_record(state)
        assert record is not None
        assert record.settings["timezone"] == "Europe/Berlin"
        assert ROOT_KEY not in (state / "stack.json").read_text()
        api = next(part.where for part in record.parts if part.name == "api").removesuffix("/livez")

        def status_of(key: str | None) -> int:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            request = urllib.request.Request(f"{api}/v1/trending", headers=headers)  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                    return int(answer.status)
            except urllib.error.HTTPError as exc:
                return exc.code

        wait_until(lambda: status_of(ROOT_KEY) == 200, 30, "an answer with the key")
        assert status_of(None) == 401
        shown = run(tmp_path, "status")
        assert api in shown.stdout
        assert record.settings["bootstrap"] in shown.stdout
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
