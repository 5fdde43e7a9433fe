"""When to try again: the schedule, what `Retry-After` says, and how an overloaded receiver is spared."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SCHEDULE_S = (0.0, 5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before each attempt, from the failure of the one before: the example of the specification."""
JITTER = 0.2
LONGEST_RETRY_AFTER_S = 86_400.0
_FIRST_THROTTLE_S, _LONGEST_THROTTLE_S = 5.0, 600.0
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def delay_s(failures: int, draw: float, schedule_s: Sequence[float] = SCHEDULE_S) -> float | None:
    """Seconds from the `failures`-th failure (from 1) to the next attempt; None: that was the last.

    `draw` is uniform in [0, 1): the delay is spread by a fifth, so that what failed together does not come
    back together.
    """
    if failures >= len(schedule_s):
        return None
    return schedule_s[failures] * (1 + JITTER * (draw - 0.5))


def parse_retry_after(text: str | None, now_s: float) -> float | None:
    """Seconds to wait by a `Retry-After` header, a day at most; None if it is absent or says nothing."""
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        ahead_s = (moment - datetime.fromtimestamp(now_s, UTC)).total_seconds()
    except OverflowError:
        return None
    return min(max(ahead_s, 0.0), LONGEST_RETRY_AFTER_S)


def throttle_s(throttled: int, retry_after_s: float | None) -> float:
    """Seconds the whole endpoint rests after its `throttled`-th answer in a row (from 1) that asks for it."""
    own = min(_FIRST_THROTTLE_S * 2 ** min(throttled - 1, 10), _LONGEST_THROTTLE_S)
    return own if retry_after_s is None else max(retry_after_s, _FIRST_THROTTLE_S)
