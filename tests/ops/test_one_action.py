"""Sessions of one action, simulated."""

import pytest

from models.next_action.actions import LEAVE_TARGET
from models.next_action.prefixes import prefixes_of
from ops.learning.one_action import add_one_action_sessions
from shoppers import make_event

IDLE_MS = 1_800_000
EVENTS = [
    make_event(kind, 7_200 * visitor + at_s, f"p{visitor}", user=f"u{visitor}")
    for visitor in range(10)
    for at_s, kind in ((0, "cart"), (60, "view"), (4_000, "view"))
]


def test_as_many_are_added_as_the_share_needs_each_as_a_session_began() -> None:
    events = add_one_action_sessions(EVENTS, 0.75, idle_ms=IDLE_MS, seed=1)
    cases = prefixes_of(events, idle_ms=IDLE_MS)
    alone = cases.start_ms == cases.end_ms
    assert (alone & (cases.length == 1)).sum() / (cases.length == 1).sum() == pytest.approx(0.75)
    assert (cases.target[alone] == LEAVE_TARGET).all()
    assert {event.event_type.value for event in events[len(EVENTS) :]} == {"cart", "view"}
    assert events[: len(EVENTS)] == EVENTS
    times = [event.event_time_ms for event in events]
    assert max(times) == max(event.event_time_ms for event in EVENTS), "the data end where they did"
    assert list(add_one_action_sessions(EVENTS, 0.75, idle_ms=IDLE_MS, seed=1)) == list(events)


def test_no_session_is_taken_away() -> None:
    with pytest.raises(
        ValueError, match=r"50.0% of the sessions have one action, the share asked for is less: 20.0%"
    ):
        add_one_action_sessions(EVENTS, 0.2, idle_ms=IDLE_MS, seed=1)
