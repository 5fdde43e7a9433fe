"""The benchmark of alerts dates each alert by the event that fired it."""

import pytest
from confluent_kafka import Producer

from alert_makers import AT_MS, make_alert, make_expired
from benchmarks.alert_reader import AlertReader, Sighting
from benchmarks.alerts import AlertsRow, find_delays
from benchmarks.contenders.echo import echo
from benchmarks.heartbeats import Scored
from benchmarks.runs import judge_alerts
from contracts.alerts import CART_ABANDONED, Alert, decode_alert, encode_alert
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.topics import Topics

TIMEOUT_S = 30.0


def sight(alert: Alert, after_ms: int = 100) -> Sighting:
    return Sighting(alert, stored_ms=alert.at_ms + after_ms, seen_ms=alert.at_ms + after_ms + 10)


def stamps_of(*alerts: Alert) -> dict[tuple[str, int], int]:
    """The broker had each event 3 ms after it happened."""
    return {(str(alert.user_id), alert.at_ms): alert.at_ms + 3 for alert in alerts}


def test_delays_count_from_the_broker_having_the_event() -> None:
    slow, fast = make_alert(1), make_alert(2)
    found = find_delays([sight(slow, 200), sight(fast)], stamps_of(slow, fast), from_ms=AT_MS)
    assert found == ([97, 197], [107, 207])


def test_a_copy_of_an_alert_counts_once_and_the_first() -> None:
    alert = make_alert(1)
    found = find_delays([sight(alert), sight(alert, 900)], stamps_of(alert), from_ms=AT_MS)
    assert found.read_ms == [107]


def test_only_churn_risks_that_fire_are_measured() -> None:
    fired = make_alert(1)
    abandoned = make_alert(2, kind=CART_ABANDONED)
    sightings = [sight(fired), sight(make_expired(fired)), sight(abandoned)]
    assert find_delays(sightings, stamps_of(fired), from_ms=AT_MS).read_ms == [107]


def test_alerts_of_events_before_the_measured_time_are_left_out() -> None:
    early, later = make_alert(1), make_alert(2)
    found = find_delays([sight(early), sight(later)], stamps_of(early, later), from_ms=later.at_ms)
    assert len(found.read_ms) == 1


def test_nothing_sighted_is_no_delay() -> None:
    assert find_delays([], {}, from_ms=0) == ([], [])


def test_an_alert_without_its_event_is_an_error() -> None:
    alert = make_alert(1)
    with pytest.raises(ValueError, match=f"of u1 at {alert.at_ms} belongs to no event"):
        find_delays([sight(alert)], {}, from_ms=AT_MS)


def test_the_reader_has_every_alert_of_the_topic(installation: Settings) -> None:
    alerts = [make_alert(number) for number in range(20)]
    reader = AlertReader(installation)
    began_ms = wall_clock_ms()
    try:
        reader.start()
        producer = Producer({"bootstrap.servers": installation.bootstrap})
        for alert in alerts:
            producer.produce(Topics(installation.topic_prefix).alerts, encode_alert(alert), alert.user_id)
        assert producer.flush(TIMEOUT_S) == 0
        sightings = reader.finish(TIMEOUT_S)
    finally:
        reader.stop()
    assert sorted(sighting.alert for sighting in sightings) == sorted(alerts)
    assert all(began_ms <= sighting.seen_ms for sighting in sightings)


def test_a_reader_that_meets_something_else_says_so(installation: Settings) -> None:
    reader = AlertReader(installation)
    try:
        reader.start()
        producer = Producer({"bootstrap.servers": installation.bootstrap})
        producer.produce(Topics(installation.topic_prefix).alerts, b"{}")
        assert producer.flush(TIMEOUT_S) == 0
        with pytest.raises(RuntimeError, match=r"could not be read to their end: schema\.unsupported"):
            reader.finish(TIMEOUT_S)
    finally:
        reader.stop()


def test_the_floor_answers_each_cart_and_nothing_else() -> None:
    events = [
        {"event_id": f"e{i}", "event_type": kind, "event_time": AT_MS + i, "user_id": f"u{i}"}
        for i, kind in enumerate(("view", "cart", "remove_from_cart", "purchase", "cart"))
    ]
    alerts = [decode_alert(encode_alert(alert)) for alert in echo(events)]
    assert [(alert.user_id, alert.at_ms) for alert in alerts] == [("u1", AT_MS + 1), ("u4", AT_MS + 4)]
    stamps = {(str(alert.user_id), alert.at_ms): alert.at_ms + 3 for alert in alerts}
    found = find_delays([sight(alert) for alert in alerts], stamps, from_ms=AT_MS)
    assert len(found.read_ms) == 2, "each is measured as an alert of ours is"


def test_ours_is_judged_by_its_own_runs_and_set_beside_the_floors() -> None:
    rows = [AlertsRow("ours", 2_000, 10, 1, 1, 1, p99_ms, Scored(1.0, {})) for p99_ms in (100, 200, 900)] + [
        AlertsRow("floor", 2_000, 10, 1, 1, 1, 10, None)
    ]
    median_p99, ratio = judge_alerts(rows)
    assert (median_p99.value, median_p99.reached) == (200, True)
    assert (ratio.value, ratio.aim) == (20, None)
    assert judge_alerts(rows[-1:]) == []
