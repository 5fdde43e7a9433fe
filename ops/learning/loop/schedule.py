"""When the loop trains: on schedule, when live figures fall behind base rates, or when there is much new."""

from typing import NamedTuple

RETRY_S = 600.0
"""After there was too little data, it looks again after so long."""
PAUSE_S = 3_600.0
"""Between two candidates, whatever the reason."""
FEWEST_JUDGED = 500
GROWTH = 1.5
"""So many times as many events as at the last candidate are much new."""


class LiveFigures(NamedTuple):
    """Losses of late, all tasks together, of the model as it is and of running base rates."""

    judged: int
    model: float
    base_rates: float


class Past(NamedTuple):
    """What the loop knows of its past with a slot; times are of the wall clock, 0 for never.

    `applied` are events of the whole shop at the last candidate.
    """

    candidate_s: float = 0.0
    attempt_s: float = 0.0
    applied: int = 0


def reason_to_train(
    past: Past, live: LiveFigures | None, *, now_s: float, applied: int, every_s: float
) -> str:
    """Why a candidate is to be made now, in words; empty for not now."""
    if past.attempt_s and now_s - past.attempt_s < RETRY_S:
        return ""
    if not past.candidate_s:
        return "there was none yet"
    if now_s - past.candidate_s >= every_s:
        return "it is time"
    if now_s - past.candidate_s < min(PAUSE_S, every_s):
        return ""
    if live is not None and live.judged >= FEWEST_JUDGED and live.model > live.base_rates:
        losses = f"{live.model:.3f}, that of running base rates {live.base_rates:.3f}"
        return f"the model's loss of late is {losses}"
    if past.applied and applied >= GROWTH * past.applied:
        return f"there are {applied:,} events, at the last candidate there were {past.applied:,}"
    return ""
