"""Merging the topics of one partition."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from shoppers import make_entries, make_event
from stream.batch import Entry
from stream.merge import merge_heads

ORDER = ("view", "cart", "purchase")


def buffers_of(**times_s: list[float]) -> dict[str, deque[Entry]]:
    return {
        topic: deque(make_entries([make_event("view", t, user=topic) for t in times_s.get(topic, [])]))
        for topic in ORDER
    }


def times_of(merged: list[tuple[str, Entry]]) -> list[tuple[str, int]]:
    return [(topic, entry.offset) for topic, entry in merged]


def test_the_earliest_head_goes_first_and_ties_keep_the_order_of_topics() -> None:
    buffers = buffers_of(view=[1, 5], cart=[1, 2], purchase=[3])
    merged = merge_heads(buffers, ORDER, awaited=set(), limit=10)
    assert times_of(merged) == [("view", 0), ("cart", 0), ("cart", 1), ("purchase", 0), ("view", 1)]


def test_nothing_is_taken_while_an_empty_topic_is_awaited() -> None:
    assert merge_heads(buffers_of(view=[1]), ORDER, awaited={"cart"}, limit=10) == []


def test_merging_stops_when_an_awaited_topic_runs_empty() -> None:
    buffers = buffers_of(view=[1, 5], cart=[2])
    assert times_of(merge_heads(buffers, ORDER, awaited={"cart"}, limit=10)) == [("view", 0), ("cart", 0)]
    assert len(buffers["view"]) == 1


def test_the_limit_holds() -> None:
    buffers = buffers_of(view=[1, 2, 3], cart=[1, 2, 3])
    assert len(merge_heads(buffers, ORDER, awaited=set(), limit=4)) == 4
    assert sum(map(len, buffers.values())) == 2


@given(st.lists(st.tuples(st.sampled_from(ORDER), st.integers(0, 50)), max_size=60), st.integers(1, 70))
def test_offsets_of_a_topic_stay_in_order_and_sorted_topics_merge_sorted(
    events: list[tuple[str, int]], limit: int
) -> None:
    times = {topic: sorted(t for name, t in events if name == topic) for topic in ORDER}
    merged = merge_heads(buffers_of(**times), ORDER, awaited=set(), limit=limit)
    assert len(merged) == min(limit, len(events))
    moments = [entry.at_ms for _, entry in merged]
    assert moments == sorted(moments)
    for topic in ORDER:
        offsets = [entry.offset for name, entry in merged if name == topic]
        assert offsets == list(range(len(offsets)))
