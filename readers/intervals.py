"""Intervals of event time: days of the shop's time zone, and their exact cover by hour and minute buckets."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from contracts.buckets import GRAIN_MS, bucket_start

_MINUTE_MS = GRAIN_MS["minute"]
_HOUR_MS = GRAIN_MS["hour"]


class Interval(NamedTuple):
    """Times from `from_ms` up to, not including, `to_ms`."""

    from_ms: int
    to_ms: int


class Cover(NamedTuple):
    """Starts of the hour and minute buckets that together are one interval, each time once."""

    hours: range
    minutes: tuple[int, ...]


def cover(interval: Interval) -> Cover:
    """The fewest buckets that are exactly the interval.

    Minutes are needed at both ends: midnight of a half-hour time zone is no hour of UTC. Raises `ValueError`
    for an interval whose ends are not whole minutes.
    """
    from_ms, to_ms = interval
    if from_ms % _MINUTE_MS or to_ms % _MINUTE_MS:
        raise ValueError(f"an interval must have whole minutes as its ends, got {from_ms} and {to_ms}")
    first_hour = -(-from_ms // _HOUR_MS) * _HOUR_MS
    end_hour = bucket_start(to_ms, "hour")
    if first_hour >= end_hour:
        return Cover(range(0), tuple(range(from_ms, to_ms, _MINUTE_MS)))
    before = range(from_ms, first_hour, _MINUTE_MS)
    after = range(end_hour, to_ms, _MINUTE_MS)
    return Cover(range(first_hour, end_hour, _HOUR_MS), (*before, *after))


def today(as_of_ms: int, zone: ZoneInfo) -> Interval:
    """From the zone's midnight to the end of the running minute."""
    return Interval(_midnight_ms(_local(as_of_ms, zone)), bucket_start(as_of_ms, "minute") + _MINUTE_MS)


def yesterday_at_this_time(as_of_ms: int, zone: ZoneInfo) -> Interval:
    """From yesterday's midnight to the start of the minute of the same time on the clock."""
    then = _local(as_of_ms, zone) - timedelta(days=1)  # wall-clock arithmetic: 23- and 25-hour days included
    return Interval(_midnight_ms(then), bucket_start(_to_ms(then), "minute"))


def to_datetime(at_ms: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def maybe_datetime(at_ms: int | None) -> datetime | None:
    """The moment in UTC, if there is one."""
    return None if at_ms is None else to_datetime(at_ms)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _local(at_ms: int, zone: ZoneInfo) -> datetime:
    return to_datetime(at_ms).astimezone(zone)


def _midnight_ms(local: datetime) -> int:
    return bucket_start(_to_ms(local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)), "minute")


def _to_ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
