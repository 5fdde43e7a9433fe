"""Order does not matter: any interleaving within the allowed disorder gives the same state."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Event
from contracts.visitor import DIGEST_BYTES, Visitor
from shoppers import RULES, Shop, make_entries, make_event
from stream.batch.core import Core

KINDS = ("view", "favorite", "cart", "remove_from_cart", "purchase")
DISORDER_S = RULES.session.disorder_ms / 1_000


@dataclass(frozen=True)
class Arrival:
    """An event and how many seconds after its event time it arrives."""

    event: Event
    delay_s: float


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Events of a few visitors with gaps around a session's idle time, each delayed within the disorder."""
    found: list[Arrival] = []
    at_s = 0.0
    for number in range(draw(st.integers(1, 60))):
        at_s += draw(
            st.sampled_from((0.0, 0.0, 0.001, 1.0, 15.0, 59.0, 600.0, 1_799.0, 1_800.0, 1_801.0, 5_000.0))
        )
        kind = draw(st.sampled_from(KINDS))
        is_ordered = kind == "purchase" and draw(st.booleans())
        event = make_event(
            kind,
            round(at_s, 3),
            draw(st.sampled_from(("a", "b", "c"))),
            user=draw(st.sampled_from(("u1", "u2"))),
            event_id=f"e{number}",
            quantity=draw(st.integers(1, 3)),
            order_id=f"o{int(at_s // 100)}" if is_ordered else None,
            extra={"line": number} if is_ordered else None,  # of lines told twice, the one that arrives first
        )
        found.append(Arrival(event, draw(st.floats(0.0, DISORDER_S))))
    return found


def seen_from_outside(visitor: Visitor) -> tuple[object, ...]:
    """All of the state but where the tail begins and when the deadline was set: neither changes an answer."""
    return visitor.totals, visitor.head, visitor.ended, sorted(digests_of(visitor.seen)), visitor.orders


def digests_of(seen: bytes) -> list[bytes]:
    return [seen[i : i + DIGEST_BYTES] for i in range(0, len(seen), DIGEST_BYTES)]


def run_batches(core: Core, events: list[Event], sizes: list[int]) -> Shop:
    shop = Shop(core=core)
    start = 0
    for size in [*sizes, len(events)]:
        batch = events[start : start + size]
        start += size
        if batch:
            shop.apply(make_entries(batch))
    shop.fire(max(event.event_time_ms for event in events) - RULES.session.disorder_ms)
    return shop


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(arrivals(), st.lists(st.integers(1, 20), max_size=8))
def test_any_interleaving_within_the_disorder_gives_the_same_state(
    core: Core, found: list[Arrival], sizes: list[int]
) -> None:
    in_order = [a.event for a in sorted(found, key=lambda a: a.event.event_time_ms)]
    as_arrived = [a.event for a in sorted(found, key=lambda a: a.event.event_time_ms / 1_000 + a.delay_s)]
    expected, shop = run_batches(core, in_order, []), run_batches(core, as_arrived, sizes)
    assert +shop.counters == +expected.counters
    assert +shop.products == +expected.products
    assert {k: n for k, n in shop.totals.items() if n} == {k: n for k, n in expected.totals.items() if n}
    for user, visitor in expected.visitors.items():
        assert seen_from_outside(shop.visitors[user]) == seen_from_outside(visitor)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(arrivals(), st.randoms(use_true_random=False))
def test_a_visitor_of_few_events_is_exact_in_any_order_at_all(
    core: Core, found: list[Arrival], random: object
) -> None:
    in_order = [a.event for a in sorted(found, key=lambda a: a.event.event_time_ms)]
    shuffled = list(in_order)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    expected, shop = run_batches(core, in_order, []), run_batches(core, shuffled, [7, 3, 11])
    for user, visitor in expected.visitors.items():
        assert seen_from_outside(shop.visitors[user]) == seen_from_outside(visitor)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(arrivals())
def test_everything_sent_twice_changes_nothing(core: Core, found: list[Arrival]) -> None:
    events = [a.event for a in found]
    expected, shop = run_batches(core, events, []), run_batches(core, events + events, [5, 9])
    # Of events that lie days before the newest one nobody looks whether they are new.
    assert shop.counters["duplicates"] + shop.counters["late"] == len(events)
    assert +shop.products == +expected.products
    for user, visitor in expected.visitors.items():
        assert seen_from_outside(shop.visitors[user]) == seen_from_outside(visitor)
