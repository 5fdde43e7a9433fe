"""How long a round asks its models: nobody's events wait long for somebody's score."""

from collections.abc import Iterable

from contracts.clock import is_live
from stream.batch.entries import Clock

FRESH_MS, LATE_MS = 80, 200
"""The older events are when their visitors are to be scored, the less time there is for it: all of the budget
up to the first age, and from the second on `LATE_SHARE` of it. A longer round makes the next one longer."""
LATE_SHARE = 0.2


def budget_of(budget_ms: int, clocks: Iterable[Clock], late_ms: int) -> float | None:
    """Seconds for the scores of a round; None: as long as they take.

    `late_ms` is the age of the oldest event. History that is read again has no delay to keep, and its scores
    are learnt from.
    """
    if not budget_ms or not any(is_live(clock.max_event_ms, clock.broker_ms) for clock in clocks):
        return None
    lateness = min(1.0, max(0.0, (late_ms - FRESH_MS) / (LATE_MS - FRESH_MS)))
    return budget_ms / 1_000 * (1.0 - (1.0 - LATE_SHARE) * lateness)
