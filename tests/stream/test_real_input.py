"""Public data sets replayed at full speed: every total in Redis equals a count of the file made by polars."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from redis import Redis

from contracts.keys import Keys
from contracts.settings import Settings
from ops.audit import TotalsRules, differences, expected_of, has_settled, log_ends, read_state
from ops.audit.expected import COLUMNS
from ops.stack.record import settings_environment
from running_worker import running_worker
from services import wait_until

pytestmark = pytest.mark.slow

FILES = {
    "retailrocket": "retailrocket_8d/events_train.parquet",
    "taobao": "taobao_stream_2h/events_train.parquet",
    "cosmetics": "rees46_samples/cosmetics_month_heads.parquet",
    "multi-category": "rees46_samples/multi_category_2019-10-01_head.parquet",
}
FOREVER_S = 400 * 86_400
KEPT: dict[str, Any] = {
    "partitions": 6,
    **dict.fromkeys(("minute_ttl_s", "product_minute_ttl_s", "hour_ttl_s", "day_ttl_s"), FOREVER_S),
}


def read_file(path: Path, currency: str) -> pl.DataFrame:
    """The file's rows as the audit wants them; every row is an event, also one equal to another."""
    rows = pl.read_parquet(path).with_row_index("row")
    absent = {name: pl.lit(None) for name in ("price", "user_session")}
    have = {name: pl.col(name) if name in rows.columns else other for name, other in absent.items()}
    columns = {
        "event_id": pl.col("row"),
        "event_type": pl.col("event_type").cast(pl.String).replace("fav", "favorite"),
        "at_ms": pl.col("event_time").dt.epoch("ms"),
        "user_id": pl.col("user_id"),
        "product_id": pl.col("item_id" if "item_id" in rows.columns else "product_id"),
        "quantity": pl.lit(1),
        "price_minor": (have["price"] * 100).round().cast(pl.Int64),
        "currency": pl.when(have["price"].is_not_null()).then(pl.lit(currency)),
        "order_id": pl.lit(None),
        "session_id": have["user_session"],
    }
    return rows.select(**{name: value.cast(COLUMNS[name]) for name, value in columns.items()})


def tied_sessions(events: pl.DataFrame) -> dict[str, set[str | None]]:
    """Visitors with events of one time and type in several sessions: the file has no order of them."""
    moments = events.group_by("user_id", "at_ms", "event_type").agg(pl.col("session_id").unique())
    tied = moments.filter(pl.col("session_id").list.len() > 1)
    return {user: set(sessions) for user, sessions in tied.select("user_id", "session_id").iter_rows()}


def replay(settings: Settings, path: Path, folder: Path) -> None:
    argv = [
        sys.executable,
        "-P",
        "-m",
        "ops.cli",
        "replay",
        str(path),
        "--speed",
        "max",
        "--state",
        str(folder),
    ]
    env = os.environ | settings_environment(settings)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_totals_of_a_replayed_file_are_those_of_the_file(
    name: str, shop_data: Path, make_installation: Any, tmp_path: Path
) -> None:
    settings = make_installation(**KEPT)
    path = shop_data / FILES[name]
    events = read_file(path, settings.currency)
    rules = TotalsRules.of(settings, live=False)
    client, keys = Redis.from_url(settings.redis_url), Keys(settings.namespace, settings.partitions)
    with running_worker(settings, tmp_path) as worker:
        replay(settings, path, tmp_path)
        ends = log_ends(settings)
        assert sum(ends.values()) == len(events)
        wait_until(
            lambda: has_settled(client, keys, ends, disorder_ms=settings.disorder_ms, live=False),
            60,
            f"the worker to apply everything; {worker.log_tail()}",
        )
    expected, found = expected_of(events, rules), read_state(client, keys)
    client.close()
    expected.counters["rejected"] = 0
    assert expected.counters["applied"] == len(events)
    for user, sessions in tied_sessions(events).items():
        if found.visitors[user].session_id in sessions:
            expected.visitors[user] = expected.visitors[user]._replace(
                session_id=found.visitors[user].session_id
            )
    assert differences(expected, found) == []
