"""The clock, and event time against it: when a stream is live, and what "now" means in it."""

import time

LIVE_SKEW_MS = 10 * 60_000
"""Newest events at most this much older than their arrival: live traffic. More: a replay of old data."""


def wall_clock_ms() -> int:
    """Now, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def is_live(max_event_ms: int, broker_ms: int) -> bool:
    """True if the newest event (`max_event_ms`) happened about when the broker got it (`broker_ms`)."""
    return broker_ms - max_event_ms < LIVE_SKEW_MS


def watermark_of(max_event_ms: int, broker_ms: int, disorder_ms: int, *, now_ms: int, caught_up: bool) -> int:
    """Event time before which nothing more is expected, in ms.

    The newest event time less the allowed disorder. When live traffic pauses (`caught_up`: nothing left to
    read) event time flows on with the clock from the arrival of the newest record; in a replay it stands.
    """
    if caught_up and is_live(max_event_ms, broker_ms):
        return max_event_ms + max(0, now_ms - broker_ms) - disorder_ms
    return max_event_ms - disorder_ms
