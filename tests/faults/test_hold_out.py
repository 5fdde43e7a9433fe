"""A hold-out group in a live shop: nobody hears of its alerts, and what it buys is compared, under a kill."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.alerts import CART_ABANDONED, decode_alert
from contracts.buckets import GRAIN_MS, bucket_start
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.topics import Topics
from models.quality import Quality, add_up, by_version
from models.uplift import uplift_figures
from ops.audit.recorded_alerts import read_log
from ops.chaos.system import SETTINGS, SystemUnderTest, open_system
from ops.chaos.traffic import make_producer
from services import uninstall, unique_settings
from stream.alerts.hold_out import HoldOut

SHARE = 0.4
VISITORS = [f"visitor-{number}" for number in range(120)]
BUYERS = VISITORS[::3]
PRICE_MINOR = 2_500


@pytest.fixture
def system(kafka_bootstrap: str, tmp_path: Path) -> Iterator[SystemUnderTest]:
    fields = {
        **SETTINGS, "scoring": False, "alert_hold_out": SHARE, "disorder_ms": 200, "alert_watch_ms": 20_000,
        "alert_cooldown_ms": 600_000,
    }  # fmt: skip
    settings = unique_settings(kafka_bootstrap, "redis://set.by.system/0", **fields)
    with open_system(settings, tmp_path, workers=1) as system:
        yield system
        uninstall(system.settings)


def send(system: SystemUnderTest, kind: EventType, users: list[str]) -> None:
    producer, topics = make_producer(system.settings), Topics(system.settings.topic_prefix)
    for user in users:
        now = wall_clock_ms()
        event = Event(
            f"{kind}-{user}-{now}", kind, now, user, "p1", price_minor=PRICE_MINOR, currency="EUR",
            order_id=f"order-{user}" if kind is EventType.PURCHASE else None,
        )  # fmt: skip
        producer.produce(topics.of(kind), encode(event), user.encode())
    producer.flush(30)


def quality(system: SystemUnderTest) -> dict[str, int]:
    """The counters of alerts of this hour and the one before, over all partitions and versions."""
    now, hour_ms = wall_clock_ms(), GRAIN_MS["hour"]
    found = []
    for p in range(system.keys.partitions):
        for at_ms in (now - hour_ms, now):
            key = system.keys.quality_bucket(p, "hour", bucket_start(at_ms, "hour"))
            fields: dict[Any, Any] = system.client.hgetall(key)
            found.append({name.decode(): int(value) for name, value in fields.items()})
    return add_up(by_version(add_up(found)).values())


def watched(system: SystemUnderTest) -> int:
    figures = uplift_figures(quality(system), CART_ABANDONED)
    return figures.told.n + figures.held_out.n


def published(system: SystemUnderTest) -> set[str]:
    """Visitors with a published alert about an abandoned cart."""
    alerts = [decode_alert(value) for _, value in read_log(system.client, system.keys)]
    return {str(alert.user_id) for alert in alerts if alert.kind == CART_ABANDONED}


def test_alerts_of_the_hold_out_are_counted_and_not_published(system: SystemUnderTest) -> None:
    held_out = {user for user in VISITORS if HoldOut(SHARE, system.settings.namespace).holds(user)}
    assert 20 < len(held_out) < 80
    told = set(VISITORS) - held_out

    send(system, EventType.CART, VISITORS)
    system.await_that(lambda: published(system) == told, 60, "the alerts of all who are told")
    (worker,) = system.supervisor.workers
    worker.kill()
    send(system, EventType.PURCHASE, BUYERS)

    deadline = time.monotonic() + 120
    while watched(system) < len(VISITORS) and time.monotonic() < deadline:
        time.sleep(1)
        send(system, EventType.VIEW, [f"passer-by-{number}" for number in range(60)])  # moves the event time
    figures = uplift_figures(quality(system), CART_ABANDONED)
    assert (figures.told.n, figures.held_out.n) == (len(told), len(held_out))
    for arm, group in ((figures.told, told), (figures.held_out, held_out)):
        buyers = len(group & set(BUYERS))
        assert arm.bought == buyers
        assert arm.revenue_minor == pytest.approx(buyers * PRICE_MINOR / len(group))
    assert published(system) == told
    counts = quality(system)
    assert counts[f"{Quality.FIRED}.{CART_ABANDONED}"] == len(VISITORS)
