"""Streaks of failures: when an endpoint that never succeeds is given up."""

from typing import NamedTuple

SEVERAL = 5
WITHIN_MS = 24 * 3_600_000
GIVE_UP_MS = 5 * 24 * 3_600_000


class Streak(NamedTuple):
    """Failures since the last success: times of the newest few, and since when the clock runs, if it does."""

    recent_ms: tuple[int, ...] = ()
    since_ms: int | None = None


NO_STREAK = Streak()


def add_failure(streak: Streak, at_ms: int) -> Streak:
    """The streak after a failed attempt. The clock starts with the `SEVERAL`-th failure `WITHIN_MS`."""
    recent = (*streak.recent_ms, at_ms)[-SEVERAL:]
    since = streak.since_ms
    if since is None and len(recent) == SEVERAL and at_ms - recent[0] <= WITHIN_MS:
        since = at_ms
    return Streak(recent, since)


def is_hopeless(streak: Streak, at_ms: int, *, give_up_ms: int = GIVE_UP_MS) -> bool:
    """Whether the clock has run for so long that the endpoint is to be disabled."""
    return streak.since_ms is not None and at_ms - streak.since_ms >= give_up_ms
