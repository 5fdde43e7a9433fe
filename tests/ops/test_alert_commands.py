"""`storepulse alerts ack`, `snooze`, `feedback`, `export` and `tail --url` against a served API."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_makers import CHURN, change_alert, make_alert, make_expired
from api.identity.principal import Scope
from api_keys import make_secret_key
from api_nursery import ApiNursery
from connections.asyncio_redis import open_redis_pool
from contracts.settings import Settings
from ops.api_client.calls import to_contract
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from readers.alerts.rendering import to_alert
from services import unique_settings, wait_until
from shop_state import ShopState


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return unique_settings("127.0.0.1:1", redis_url, api_port=pick_port())


@pytest.fixture
def state(settings: Settings) -> Iterator[ShopState]:
    state = ShopState(settings)
    state.publish_alerts([make_alert(0), make_alert(1), make_expired(make_alert(1))])
    state.flush()
    yield state
    state.close()


@pytest.fixture
def nursery(settings: Settings, state: ShopState) -> Iterator[ApiNursery]:
    del state
    with ApiNursery(settings) as nursery:
        nursery.start()
        yield nursery


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ops.cli", "alerts", *arguments]


def run(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=os.environ | settings_environment(settings) | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.usefixtures("nursery")
def test_an_alert_is_acknowledged_snoozed_and_judged(settings: Settings) -> None:
    assert run(settings, "ack", "id0").stdout == "acknowledged\n"
    snoozed = run(settings, "snooze", "id0", "--for", "2h", "--json")
    assert json.loads(snoozed.stdout)["state"] == "snoozed"
    assert run(settings, "snooze", "id0", "--undo").stdout == "acknowledged\n"
    judged = run(settings, "feedback", "id1", "wrong", "--note", "had bought in the shop")
    assert judged.stdout == "open, called wrong\n"
    assert run(settings, "feedback", "id1", "--undo").stdout == "open\n"


@pytest.mark.usefixtures("nursery")
def test_what_the_api_refuses_is_said_in_its_words(settings: Settings) -> None:
    refused = run(settings, "ack", "id1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("alert.ended: ")
    assert "alert.unknown" in run(settings, "ack", "a?b=&c").stderr
    assert run(settings, "snooze", "id0", "--for", "soon").returncode == 2
    assert run(settings, "feedback", "id0").returncode == 2
    assert "for_s.too_small" in run(settings, "snooze", "id0", "--for", "1s").stderr


def test_without_an_api_the_commands_say_so(settings: Settings, tmp_path: Path) -> None:
    for arguments in (
        ("ack", "id0"),
        ("export", "--out", str(tmp_path / "t.csv")),
        ("tail", "--url", "http://127.0.0.1:1"),
    ):
        refused = run(settings, *arguments)
        assert refused.returncode == 1
        assert "does not answer" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nursery")
def test_a_table_is_written_to_a_file_or_to_the_output(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "alerts.csv"
    assert run(settings, "export", "--out", str(out)).returncode == 0
    assert len(out.read_text().splitlines()) == 4
    printed = run(settings, "export", "--kind", "cart_abandoned").stdout
    assert printed.startswith("record_id,")
    assert len(printed.splitlines()) == 1


async def test_where_keys_are_needed_one_is_taken_from_the_environment(
    nursery: ApiNursery, settings: Settings
) -> None:
    redis = open_redis_pool(settings)
    key = await make_secret_key(redis, settings, Scope.ALERTS_WRITE)
    await redis.aclose()
    nursery.end(signal.SIGTERM)
    nursery.start()
    assert "key." in run(settings, "ack", "id0").stderr
    assert f"by {key.key_id}" in run(settings, "ack", "id0", STOREPULSE_API_KEY=str(key)).stdout


def test_the_stream_is_followed_over_a_restart_of_the_api(
    nursery: ApiNursery, settings: Settings, state: ShopState
) -> None:
    with subprocess.Popen(
        command("tail", "--url", nursery.url),
        env=os.environ | settings_environment(settings) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            wait_until(lambda: nursery.n_streams() == 1, 20, "the command's stream")
            state.publish_alerts([CHURN])
            state.flush()
            assert "u1  59.90 EUR  8% chance to buy" in process.stdout.readline()
            nursery.end(signal.SIGKILL)
            state.publish_alerts([make_expired(CHURN)])
            state.flush()
            nursery.start()
            assert "expired 30 min later" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_what_the_api_shows_of_a_step_is_that_step_again() -> None:
    for alert in (
        CHURN,
        change_alert(make_expired(CHURN), cart_value_minor=None, currency=None, session_id=None),
    ):
        assert to_contract(json.loads(to_alert(alert).model_dump_json())) == alert
