"""Sending at the pace of event time, or of a multiple of it."""

import time
from collections.abc import Callable


class Pacer:
    """How long until an event is due. `speed` 60: an hour of event time in a minute; None: at once."""

    def __init__(self, speed: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._clock = clock
        self._start: tuple[int, float] | None = None

    def wait_s(self, event_time_ms: int) -> float:
        """Seconds until the event is due; 0 if it is. The first event is due at once and sets the pace."""
        if self._speed is None:
            return 0.0
        if self._start is None:
            self._start = (event_time_ms, self._clock())
        first_ms, started_s = self._start
        due_s = started_s + (event_time_ms - first_ms) / 1_000 / self._speed
        return max(0.0, due_s - self._clock())


def parse_speed(text: str) -> float | None:
    """`max` is None; anything else a factor above 0. Raises `ValueError`."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:
        raise ValueError(f"speed must be max or a factor above 0, such as 1 or 60, got {text!r}")
    return speed
