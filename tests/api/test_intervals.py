"""Covers are exact, and days start at the shop's midnight, whatever its offset."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.buckets import GRAIN_MS
from readers.intervals import Interval, cover, today, yesterday_at_this_time

MINUTE_MS = GRAIN_MS["minute"]
HOUR_MS = GRAIN_MS["hour"]
ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Europe/Berlin", "Africa/Cairo")

minutes = st.integers(26_000_000, 30_000_000)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


@given(minutes, st.integers(0, 3_000))
def test_hours_and_minutes_cover_an_interval_exactly(first_minute: int, length: int) -> None:
    interval = Interval(first_minute * MINUTE_MS, (first_minute + length) * MINUTE_MS)
    hours, single = cover(interval)
    covered = [*single, *(start + i * MINUTE_MS for start in hours for i in range(60))]
    assert sorted(covered) == list(range(interval.from_ms, interval.to_ms, MINUTE_MS))
    assert all(start % HOUR_MS == 0 for start in hours)
    assert len(single) <= 118


def test_an_interval_of_broken_minutes_has_no_cover() -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        cover(Interval(0, 90_500))


@given(minutes, st.integers(0, MINUTE_MS - 1), st.sampled_from(ZONES))
def test_today_runs_from_midnight_through_the_running_minute(minute: int, part_ms: int, zone: str) -> None:
    as_of_ms = minute * MINUTE_MS + part_ms
    from_ms, to_ms = today(as_of_ms, ZoneInfo(zone))
    start = datetime.fromtimestamp(from_ms / 1_000, ZoneInfo(zone))
    assert start.date() == datetime.fromtimestamp(as_of_ms / 1_000, ZoneInfo(zone)).date()
    assert from_ms <= as_of_ms < to_ms <= as_of_ms + MINUTE_MS
    before = datetime.fromtimestamp(from_ms / 1_000 - 1, ZoneInfo(zone))
    assert before.date() < start.date()


def test_a_half_hour_zone_starts_its_day_between_two_hours_of_utc() -> None:
    day = today(ms("2026-03-05T10:00:30+05:30"), ZoneInfo("Asia/Kolkata"))
    assert day == Interval(ms("2026-03-05T00:00+05:30"), ms("2026-03-05T10:01+05:30"))
    hours, single = cover(day)
    assert len(hours) == 9
    assert len(single) == 30 + 31
    assert day.from_ms == single[0]


def test_yesterday_ends_at_the_same_time_on_the_clock() -> None:
    then = yesterday_at_this_time(ms("2026-03-05T10:00:30+05:30"), ZoneInfo("Asia/Kolkata"))
    assert then == Interval(ms("2026-03-04T00:00+05:30"), ms("2026-03-04T10:00+05:30"))


def test_yesterday_of_a_short_day_is_one_hour_shorter_than_today() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    then = yesterday_at_this_time(ms("2026-03-30T12:00+02:00"), berlin)
    assert then == Interval(ms("2026-03-29T00:00+01:00"), ms("2026-03-29T12:00+02:00"))
    assert then.to_ms - then.from_ms == 11 * HOUR_MS


def test_a_day_whose_midnight_is_skipped_starts_when_the_clock_jumps() -> None:
    cairo = ZoneInfo("Africa/Cairo")
    assert today(ms("2024-04-26T10:00+03:00"), cairo).from_ms == ms("2024-04-26T01:00+03:00")
