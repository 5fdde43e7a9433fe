"""Sessions of one action, simulated where the publisher of the data left them out."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from contracts.events import Event, EventType, Statement

_SPREAD_MS = 3_600_000


def add_one_action_sessions(
    events: Iterable[Event], share: float, *, idle_ms: int, seed: int
) -> Sequence[Event]:
    """The events, and visitors of their own with one action each, until `share` of all sessions have one.

    What they do is what a session of the data began with, up to an hour before or after. Raises `ValueError`
    for a share that is none, or lower than that of the data.
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of one-action sessions must be from 0 to below 1, got {share:g}")
    known = list(events)
    sessions = _sessions(known, idle_ms)
    n_short = sum(len(session) == 1 for session in sessions)
    n_added = round((share * len(sessions) - n_short) / (1 - share))
    if n_added < 0:
        own = n_short / len(sessions)
        raise ValueError(
            f"{own:.1%} of the sessions have one action, the share asked for is less: {share:.1%}"
        )
    draw = random.Random(seed)
    times_ms = [event.event_time_ms for event in known]
    low_ms, high_ms = min(times_ms, default=0), max(times_ms, default=0)
    for number in range(n_added):
        first = draw.choice(sessions)[0]
        at_ms = first.event_time_ms + draw.randint(-_SPREAD_MS, _SPREAD_MS)
        known.append(
            first._replace(
                event_id=f"one-action-{number}",
                user_id=f"one-action-{number}",
                event_time_ms=min(max(at_ms, low_ms), high_ms),
            )
        )
    return known


def _sessions(events: Sequence[Event], idle_ms: int) -> list[list[Event]]:
    """The actions of each session, in order."""
    by_visitor: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.event_time_ms):
        if event.event_type is not EventType.REFUND and not isinstance(event.event_type, Statement):
            by_visitor[event.user_id].append(event)
    sessions: list[list[Event]] = []
    for own in by_visitor.values():
        last_ms = None
        for event in own:
            if last_ms is None or event.event_time_ms - last_ms > idle_ms:
                sessions.append([])
            sessions[-1].append(event)
            last_ms = event.event_time_ms
    return sessions
