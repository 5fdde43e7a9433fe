"""`storepulse alerts tail` on a log of alerts in a real Redis."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from redis import Redis

from alert_makers import AT_MS, CHURN, change_alert, make_alert, make_expired
from contracts.alerts import CART_ABANDONED, CHURN_RISK, AlertState, Severity
from contracts.settings import Settings
from ops.alerts.tail import BACKLOG, TailOptions, parse_since, read_log, render_alert
from ops.stack.record import settings_environment
from readers.alerts.log import AlertFilter
from services import unique_settings
from shop_state import ShopState


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return unique_settings("127.0.0.1:1", redis_url)


@pytest.fixture
def state(settings: Settings) -> Iterator[ShopState]:
    state = ShopState(settings)
    yield state
    state.close()


def run(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", "alerts", "tail", "--state", str(folder), *arguments],
        env=os.environ | settings_environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tail(state: ShopState, wanted: AlertFilter, *, follow: bool) -> list[str | None]:
    with Redis.from_url(state.settings.redis_url) as client:
        steps = read_log(client, state.keys.alerts(), TailOptions(wanted, follow, as_json=False))
        return [alert.user_id for alert in islice(steps, BACKLOG)]


def test_a_firing_alert_is_told_in_one_line() -> None:
    assert render_alert(CHURN).plain == (
        "2025-10-09 08:53:20Z  churn_risk      high    u1  59.90 EUR  8% chance to buy  no action for "
        "3 minutes; the usual pause between actions: lowers the chance of a purchase"
        "  offer: 2 products worth 59.90 EUR in the cart: p1, p2"
    )


def test_ends_are_told_with_their_distance_from_the_firing() -> None:
    assert render_alert(make_expired(CHURN)).plain.endswith("59.90 EUR  expired 30 min later")
    assert render_alert(make_expired(CHURN, 9_000)).plain.endswith("expired 9 s later")
    bought = change_alert(CHURN, state=AlertState.RESOLVED, at_ms=AT_MS + 3 * 3_600_000, offer=None)
    assert render_alert(bought).plain.endswith("bought 3 h later")


def test_what_visitors_typed_stays_text() -> None:
    alert = change_alert(CHURN, user_id="[red]u[/]", live=False, cart_value_minor=None, currency=None)
    line = render_alert(alert).plain
    assert "[red]u[/]  2 products" in line
    assert line.endswith("(recorded only)")


def test_a_span_counts_back_from_now() -> None:
    assert parse_since("30m", AT_MS) == AT_MS - 1_800_000
    assert parse_since("2025-10-09T08:53:20Z", 0) == AT_MS
    with pytest.raises(ValueError, match=r"since\.not_time"):
        parse_since("soon", 0)


def test_following_begins_with_the_newest_ten(state: ShopState) -> None:
    state.publish_alerts(make_alert(i) for i in range(BACKLOG + 5))
    state.flush()
    assert tail(state, AlertFilter(), follow=True) == [f"u{i}" for i in range(5, BACKLOG + 5)]


def test_following_with_a_filter_looks_back_for_ten_of_that_kind(state: ShopState) -> None:
    rare = {i for i in range(600) if i % 50 == 0}
    state.publish_alerts(make_alert(i, kind=CART_ABANDONED if i in rare else CHURN_RISK) for i in range(600))
    state.flush()
    found = tail(state, AlertFilter(kind=CART_ABANDONED), follow=True)
    assert found == [f"u{i}" for i in sorted(rare)[-BACKLOG:]]


def test_the_least_severity_and_value_leave_the_others_out(state: ShopState, tmp_path: Path) -> None:
    severities, values = (Severity.LOW, Severity.MEDIUM, Severity.HIGH), (1_000, 6_000, 30_000)
    state.publish_alerts(
        make_alert(n, severity=severity, cart_value_minor=value, currency="EUR")
        for n, (severity, value) in enumerate(zip(severities, values, strict=True))
    )
    state.flush()
    for option, value in (("--min-severity", "medium"), ("--min-value", "6000")):
        done = run(state.settings, tmp_path, "--no-follow", "--json", option, value)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["severity"] for line in done.stdout.splitlines()] == ["medium", "high"]


def test_following_from_a_time_begins_there(state: ShopState) -> None:
    state.publish_alerts(make_alert(i) for i in range(30))
    state.flush()
    assert tail(state, AlertFilter(since_ms=AT_MS + 3_000), follow=True)[0] == "u3"


def test_a_new_step_is_followed(state: ShopState) -> None:
    state.publish_alerts([make_alert(0)])
    state.flush()
    with Redis.from_url(state.settings.redis_url) as client:
        steps = read_log(client, state.keys.alerts(), TailOptions(AlertFilter(), True, False))
        assert next(steps).alert_id == "id0"
        state.publish_alerts([make_expired(make_alert(0))])
        state.flush()
        assert next(steps).record_id == "id0-expired"


def test_without_following_everything_kept_is_printed_as_json(state: ShopState, tmp_path: Path) -> None:
    state.publish_alerts(make_alert(i, severity=Severity.LOW if i == 1 else Severity.HIGH) for i in range(3))
    state.flush()
    result = run(state.settings, tmp_path, "--no-follow", "--json", "--severity", "high")
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["record_id"] for line in result.stdout.splitlines()] == [
        "id0-firing",
        "id2-firing",
    ]


def test_following_ends_well_at_ctrl_c(state: ShopState, tmp_path: Path) -> None:
    state.publish_alerts([CHURN])
    state.flush()
    with subprocess.Popen(
        [sys.executable, "-m", "ops.cli", "alerts", "tail", "--state", str(tmp_path)],
        env=os.environ | settings_environment(state.settings) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert "churn_risk" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")


def test_without_redis_the_command_says_so(tmp_path: Path) -> None:
    result = run(unique_settings("127.0.0.1:1", "redis://127.0.0.1:1/0"), tmp_path, "--no-follow")
    assert result.returncode == 1
    assert "storepulse up" in result.stdout
    assert "Traceback" not in result.stderr


def test_a_bad_option_is_named(settings: Settings, tmp_path: Path) -> None:
    result = run(settings, tmp_path, "--since", "soon")
    assert result.returncode == 2
    assert "--since" in result.stderr
    assert run(settings, tmp_path, "--kind", "other").returncode == 2
    assert run(settings, tmp_path, "--subject", "p1").returncode == 2
