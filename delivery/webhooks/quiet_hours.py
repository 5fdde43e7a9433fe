"""Quiet hours: the time of day in which a receiver is told nothing, in the time zone of the shop."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"
_DAY_MIN = 24 * 60


class QuietHours(NamedTuple):
    """From `start_min` to before `end_min`, minutes of the day; over midnight where the end comes first."""

    start_min: int
    end_min: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `22:00-08:00`; raises `ValueError`."""
        if not re.fullmatch(PATTERN, text):
            raise ValueError(f"quiet hours must be HH:MM-HH:MM, got {text!r}")
        start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
        return cls(start, end)

    def ends_ms(self, now_ms: int, zone: ZoneInfo) -> int:
        """When the quiet hours of this moment end (epoch ms); 0 where it is none."""
        now = datetime.fromtimestamp(now_ms / 1_000, zone)
        minute = now.hour * 60 + now.minute
        if (minute - self.start_min) % _DAY_MIN >= (self.end_min - self.start_min) % _DAY_MIN:
            return 0
        days = int(minute >= self.end_min)  # it ends tomorrow
        end = (now.replace(tzinfo=None) + timedelta(days=days)).replace(
            hour=self.end_min // 60, minute=self.end_min % 60, second=0, microsecond=0
        )
        return round(end.replace(tzinfo=zone).astimezone(UTC).timestamp() * 1_000)
