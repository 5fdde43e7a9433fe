"""Deletions in the stream: who is forgotten, who is not, and that the order of things does not matter."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.deletions import SETTLE_MS, digest_user, encode_deletion
from contracts.deletions import Deletion as Record
from contracts.events import Event
from contracts.subjects import customer, visitor
from shoppers import NOW_MS, RULES, SETTINGS, Shop, make_entries, make_event
from stream.batch.core import Core
from stream.batch.step import Entry, Forward
from stream.components.deletions.component import Deletions
from stream.components.deletions.records import DeletionRecord, read_deletions
from stream.partitions.partition import Partition
from stream.registry import make_registry
from stream.state.commit import Claim

DIGEST = digest_user("u1", "")
REGISTRY = make_registry(SETTINGS)


@dataclass(frozen=True)
class Raw:
    """A record as the batch consumer delivers it."""

    offset: int
    value: bytes | None
    timestamp: int = NOW_MS
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def at(second: float) -> int:
    return NOW_MS + int(second * 1_000)


def test_a_deletion_removes_the_visitor_and_nobody_else(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("cart", 0), make_event("cart", 1, user="u2")]))
    change = shop.forget("u1", at(5))
    assert change.forget == [visitor("u1"), customer("u1")]
    assert change.state == {DIGEST: at(5) + SETTLE_MS}
    assert (set(shop.visitors), set(shop.timers)) == ({"u2"}, {"u2"})
    assert shop.total("c") == 2, "counts tell nothing about anybody and stay"


def test_no_record_of_who_was_deleted_goes_into_kafka_once_more(core: Core) -> None:
    shop = Shop(core=core)
    shop.forget("anna", at(5))
    sent = [
        make_event("view", second, user=f"device-of-{customer}", customer_id=customer)
        for customer in ("anna", "ben")
        for second in (1, 60)
    ]
    entries = [
        Entry(
            n,
            0,
            event.event_time_ms,
            None,
            Forward("view", b"d", f"view-0-{n}", b"{}", str(event.customer_id), event),
        )
        for n, event in enumerate(sent)
    ]
    result = shop.apply(entries)
    assert [forward.event for forward in result.forwards] == sent[1:]
    assert (result.counters["forwarded"], result.counters["forgotten"]) == (3, 1)


@pytest.mark.parametrize(
    ("happened_s", "arrived_s", "kept_out"),
    [(0, 0, True), (7, 7, True), (7.001, 7.001, False), (0, 100, True), (60, 7, True), (8, 100, False)],
)
def test_what_happened_or_arrived_before_the_deletion_is_kept_out(
    core: Core, happened_s: float, arrived_s: float, kept_out: bool
) -> None:
    shop = Shop(core=core)
    shop.forget("u1", at(5))
    shop.apply(make_entries([make_event("cart", happened_s)], arrived_ms=at(arrived_s)))
    assert ("u1" not in shop.visitors) is kept_out
    assert shop.counters == {"deletions": 1, "forgotten" if kept_out else "applied": 1}
    assert shop.total("c") == 1 - kept_out


def test_who_comes_back_is_somebody_new(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("cart", second) for second in range(5)]))
    shop.forget("u1", at(5))
    shop.apply(make_entries([make_event("view", 20)]))
    totals = shop.visitors["u1"].totals
    assert (totals.first_ms, totals.counts) == (at(20), (1, 0, 0, 0, 0))
    assert not shop.visitors["u1"].head.cart


def test_events_of_before_and_after_in_one_batch_are_told_apart(core: Core) -> None:
    shop = Shop(core=core)
    shop.forget("u1", at(5))
    shop.apply(make_entries([make_event(kind, i * 4) for i, kind in enumerate(("view", "cart", "view"))]))
    assert shop.visitors["u1"].totals.counts == (1, 0, 0, 0, 0)
    assert shop.counters["forgotten"] == 2


def test_a_deletion_read_again_leaves_the_visitor_of_today_alone(core: Core) -> None:
    shop = Shop(core=core)
    shop.forget("u1", at(5))
    shop.apply(make_entries([make_event("view", 20)]))
    change = shop.forget("u1", at(5))
    assert (change.state, change.forget, change.writes, change.counters["deletions"]) == (None, (), (), 0)
    assert "u1" in shop.visitors


def test_a_second_deletion_removes_who_came_back(core: Core) -> None:
    shop = Shop(core=core)
    shop.forget("u1", at(5))
    shop.apply(make_entries([make_event("view", 20)]))
    shop.forget("u1", at(30))
    assert shop.visitors == {}
    assert shop.forgotten == {DIGEST: at(30) + SETTLE_MS}


def test_kept_out_events_move_the_clock_and_late_ones_stay_late(core: Core) -> None:
    shop = Shop(core=core)
    shop.forget("u1", at(5))
    shop.apply(make_entries([make_event("view", 4)]))
    assert shop.clock.max_event_ms == at(4)
    long_ago = -(RULES.lateness_ms + RULES.session.disorder_ms) / 1_000
    shop.apply(make_entries([make_event("view", long_ago)], arrived_ms=at(4)))
    assert (shop.counters["forgotten"], shop.counters["late"]) == (1, 1)


def test_another_secret_forgets_nobody(core: Core) -> None:
    shop = Shop(core=core)
    shop.forget("u1", at(5))
    shop.deletions = Deletions("another")
    shop.apply(make_entries([make_event("view", 0)]))
    assert "u1" in shop.visitors


def test_a_record_that_is_no_deletion_becomes_a_dead_letter() -> None:
    good = encode_deletion(Record("d1", DIGEST, NOW_MS, "00000000"))
    records = [Raw(3, good), Raw(4, b"?", key=b"k")]
    items = read_deletions(records, topic="deletions", partition=1, now_ms=NOW_MS)
    assert items[0] == DeletionRecord(3, NOW_MS, Record("d1", DIGEST, NOW_MS, "00000000"), None)
    assert items[1].letter is not None
    assert (items[1].letter.code, items[1].letter.value) == ("deletion.not_json", b"?")


@pytest.mark.parametrize(
    ("offsets", "limit", "taken", "end"),
    [([], 5, [], 10), ([3], 5, [3], 10), ([3, 9], 5, [3, 9], 10), ([3, 9], 1, [3], 4)],
)
def test_deletions_are_read_to_the_end_though_the_newest_are_gone(
    offsets: list[int], limit: int, taken: list[int], end: int
) -> None:
    part = Partition(
        1, ("view",), Claim(1, found={"meta": {}, "forgotten": {}}), registry=REGISTRY, place=0, now_s=0.0,
        queued=("deletions",),
    )  # fmt: skip
    good = encode_deletion(Record("d1", DIGEST, NOW_MS, "00000000"))
    part.fetched["deletions"] = 10
    part.queues["deletions"].extend(
        read_deletions([Raw(o, good) for o in offsets], topic="deletions", partition=1, now_ms=NOW_MS)
    )
    assert part.is_queued(part.fetched)
    items, next_offset = part.take_queued("deletions", limit)
    assert ([item.offset for item in items], next_offset) == (taken, end)
    part.stored["deletions"] = next_offset
    assert part.is_queued(part.fetched) is (next_offset < 10)


@dataclass(frozen=True)
class Arrival:
    """An event and when it arrives, in seconds."""

    event: Event
    arrives_s: float


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Events of two visitors around second 100, some late, some ahead of the clock, in order of arrival."""
    found = []
    for number in range(draw(st.integers(1, 25))):
        happened_s = draw(st.integers(0, 200))
        kind = draw(st.sampled_from(("view", "cart", "purchase")))
        user = draw(st.sampled_from(("u1", "u2")))
        event = make_event(kind, happened_s, user=user, event_id=f"e{number}")
        found.append(Arrival(event, happened_s + draw(st.sampled_from((0, 0, 0, 1, 50, 150, -40)))))
    return sorted(found, key=lambda arrival: arrival.arrives_s)


def entries_of(found: list[Arrival]) -> list[Entry]:
    return [Entry(i, a.event.event_time_ms, at(a.arrives_s), a.event, None) for i, a in enumerate(found)]


def in_batches(shop: Shop, found: list[Arrival], size: int) -> None:
    entries = entries_of(found)
    for start in range(0, len(entries), size):
        shop.apply(entries[start : start + size])


def seen_from_outside(shop: Shop) -> dict[str, object]:
    """All of the states but where a tail begins and when a deadline was set: neither changes an answer."""
    return {user: (v.totals, v.head, v.ended, v.orders) for user, v in shop.visitors.items()}


CUT_S = 100 + SETTLE_MS / 1_000


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(arrivals(), st.integers(0, 25), st.integers(1, 7))
def test_wherever_a_deletion_is_read_the_end_is_the_same(
    core: Core, found: list[Arrival], place: int, size: int
) -> None:
    newer = [a for a in found if a.arrives_s > CUT_S]
    place = min(place, len(found) - len(newer))  # a worker has read it before anything that arrives after it
    live, replayed, without = Shop(core=core), Shop(core=core), Shop(core=core)
    in_batches(live, found[:place], size)
    live.forget("u1", at(100))
    in_batches(live, found[place:], size)
    replayed.forget("u1", at(100))
    in_batches(replayed, found, size)
    assert seen_from_outside(live) == seen_from_outside(replayed)
    assert live.forgotten == replayed.forgotten
    is_theirs = [
        a.event.user_id == "u1" and min(a.event.event_time_ms, at(a.arrives_s)) <= at(CUT_S) for a in found
    ]
    in_batches(without, [a for a, theirs in zip(found, is_theirs, strict=True) if not theirs], size)
    assert {u: v.totals for u, v in live.visitors.items()} == {
        u: v.totals for u, v in without.visitors.items()
    }
    for shop in (live, replayed):
        counted = ("applied", "duplicates", "late", "forgotten")
        assert sum(shop.counters[name] for name in counted) == len(found)
    assert +replayed.products == +without.products


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(arrivals(), st.integers(0, 25))
def test_nothing_of_before_is_left_however_late_a_deletion_is_read(
    core: Core, found: list[Arrival], place: int
) -> None:
    shop = Shop(core=core)
    in_batches(shop, found[:place], 3)
    shop.forget("u1", at(100))
    assert "u1" not in shop.visitors
    in_batches(shop, found[place:], 3)
    if "u1" in shop.visitors:
        assert shop.visitors["u1"].totals.first_ms > at(CUT_S)
