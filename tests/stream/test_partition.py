"""What one partition waits for, and when it stops waiting."""

from commits import NOTHING_FOUND
from shoppers import SETTINGS, make_entries, make_event
from stream.partitions.partition import MAX_WAITS, Partition
from stream.registry import make_registry
from stream.state.commit import Claim

TOPICS = ("view", "cart", "purchase")


def make_partition(*, high: dict[str, int], **times_s: list[float]) -> Partition:
    part = Partition(
        0, TOPICS, Claim(1, found=NOTHING_FOUND), registry=make_registry(SETTINGS), place=0, now_s=0.0
    )
    for topic in TOPICS:
        entries = make_entries([make_event("view", t, user=topic) for t in times_s.get(topic, [])])
        part.buffers[topic].extend(entries)
        part.fetched[topic] = len(entries)
        part.high[topic] = high.get(topic, len(entries))
    return part


def test_nothing_is_awaited_when_all_logs_are_read() -> None:
    part = make_partition(high={}, view=[1, 2])
    assert part.awaited_topics(now_s=0, quiet_s=0, wait_s=2) == (set(), False)


def test_events_after_the_last_known_one_of_an_unread_topic_stay() -> None:
    part = make_partition(high={"cart": 5}, view=[1, 9], cart=[3])
    awaited, _ = part.awaited_topics(now_s=0, quiet_s=0, wait_s=2)
    entries, offsets = part.take(10, awaited)
    assert [entry.event.user_id for entry in entries if entry.event] == ["view", "cart"]
    assert offsets["view"] == (-1, 1)
    assert part.buffered == 1


def test_waiting_ends_when_nothing_was_delivered_for_long() -> None:
    part = make_partition(high={"cart": 5}, view=[1])
    assert part.awaited_topics(now_s=0, quiet_s=0, wait_s=2) == ({"cart"}, False)
    assert part.awaited_topics(now_s=1.9, quiet_s=1.9, wait_s=2) == ({"cart"}, False)
    assert part.awaited_topics(now_s=2, quiet_s=2, wait_s=2) == (set(), True)


def test_a_busy_worker_waits_longer_but_not_for_ever() -> None:
    part = make_partition(high={"cart": 5}, view=[1])
    part.awaited_topics(now_s=0, quiet_s=0, wait_s=2)
    assert part.awaited_topics(now_s=10, quiet_s=0.1, wait_s=2) == ({"cart"}, False)
    assert part.awaited_topics(now_s=2 * MAX_WAITS, quiet_s=0.1, wait_s=2) == (set(), True)


def test_the_wait_starts_anew_once_the_topic_came() -> None:
    part = make_partition(high={"cart": 5}, view=[1])
    part.awaited_topics(now_s=0, quiet_s=0, wait_s=2)
    part.high["cart"] = 0
    part.awaited_topics(now_s=1, quiet_s=0, wait_s=2)
    part.high["cart"] = 5
    assert part.awaited_topics(now_s=2.5, quiet_s=2.5, wait_s=2) == ({"cart"}, False)


def test_an_emptied_topic_moves_to_the_end_of_what_was_read_of_it() -> None:
    part = make_partition(high={}, view=[1, 2], cart=[3])
    part.fetched["view"] = 5  # three more offsets: markers, and records of an aborted transaction
    _, offsets = part.take(1, set())
    assert offsets["view"] == (-1, 1)
    _, offsets = part.take(10, set())
    assert (offsets["view"], offsets["cart"]) == ((-1, 5), (-1, 1))


def test_a_topic_without_records_for_us_moves_too_but_not_one_that_is_empty() -> None:
    part = make_partition(high={})
    assert part.read_ends() == {}
    part.fetched["purchase"] = 2
    assert part.read_ends() == {"purchase": 2}
    part.stored["purchase"] = 2
    assert part.read_ends() == {}


def test_lag_is_what_is_not_stored_yet() -> None:
    part = make_partition(high={"view": 7}, view=[1])
    part.stored["view"] = 3
    assert part.lag == 4
