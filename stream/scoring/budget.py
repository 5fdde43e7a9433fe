"""How long a round asks its models: nobody's events wait long for somebody's score."""

from collections.abc import Iterable

from contracts.clock import is_live
from stream.batch.entries import Clock

LATE_MS = 250
"""Events that are this old when their visitors are to be scored leave less time for it."""
LATE_SHARE = 0.25


def budget_of(budget_ms: int, clocks: Iterable[Clock], late_ms: int) -> float | None:
    """Seconds for the scores of a round; None: as long as they take.

    `late_ms` is the age of the oldest event. History that is read again has no delay to keep, and its scores
    are learnt from.
    """
    if not budget_ms or not any(is_live(clock.max_event_ms, clock.broker_ms) for clock in clocks):
        return None
    return budget_ms / 1_000 * (LATE_SHARE if late_ms > LATE_MS else 1.0)
