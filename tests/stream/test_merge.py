"""Merging the topics of one partition."""

from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shoppers import make_entries, make_event
from stream.batch.core import Core
from stream.batch.step import Entry

ORDER = ("view", "cart", "purchase")


def buffers_of(**times_s: list[float]) -> dict[str, deque[Entry]]:
    return {
        topic: deque(make_entries([make_event("view", t, user=topic) for t in times_s.get(topic, [])]))
        for topic in ORDER
    }


def places_of(merged: tuple[list[Entry], dict[str, int]]) -> list[tuple[str, int]]:
    """Topic (the user's name says it) and offset of each entry, checked against the last offsets given."""
    entries, last = merged
    places = [(entry.event.user_id, entry.offset) for entry in entries if entry.event]
    assert last == dict(places)
    return places


def test_the_earliest_head_goes_first_and_ties_keep_the_order_of_topics(core: Core) -> None:
    buffers = buffers_of(view=[1, 5], cart=[1, 2], purchase=[3])
    merged = core.merge_heads(buffers, ORDER, awaited=set(), limit=10)
    assert places_of(merged) == [("view", 0), ("cart", 0), ("cart", 1), ("purchase", 0), ("view", 1)]


def test_nothing_is_taken_while_an_empty_topic_is_awaited(core: Core) -> None:
    assert core.merge_heads(buffers_of(view=[1]), ORDER, awaited={"cart"}, limit=10) == ([], {})


def test_merging_stops_when_an_awaited_topic_runs_empty(core: Core) -> None:
    buffers = buffers_of(view=[1, 5], cart=[2])
    assert places_of(core.merge_heads(buffers, ORDER, awaited={"cart"}, limit=10)) == [
        ("view", 0),
        ("cart", 0),
    ]
    assert len(buffers["view"]) == 1


def test_the_limit_holds(core: Core) -> None:
    buffers = buffers_of(view=[1, 2, 3], cart=[1, 2, 3])
    assert len(core.merge_heads(buffers, ORDER, awaited=set(), limit=4)[0]) == 4
    assert sum(map(len, buffers.values())) == 2


@given(st.lists(st.tuples(st.sampled_from(ORDER), st.integers(0, 50)), max_size=60), st.integers(1, 70))
def test_offsets_of_a_topic_stay_in_order_and_sorted_topics_merge_sorted(
    core: Core, events: list[tuple[str, int]], limit: int
) -> None:
    times: dict[str, Any] = {topic: sorted(t for name, t in events if name == topic) for topic in ORDER}
    merged = core.merge_heads(buffers_of(**times), ORDER, awaited=set(), limit=limit)
    assert len(merged[0]) == min(limit, len(events))
    order = [(entry.at_ms, ORDER.index(entry.event.user_id)) for entry in merged[0] if entry.event]
    assert order == sorted(order)
    for topic in ORDER:
        offsets = [offset for name, offset in places_of(merged) if name == topic]
        assert offsets == list(range(len(offsets)))
