"""The compiled batch step and the compiled blobs give what Python's do, whatever visitors do."""

import hashlib
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.alerts import CART_ABANDONED, CHURN_RISK, AlertState
from contracts.deletions import digest_user
from contracts.events import GUEST, LOGGED_OUT, Event, Statement
from core_runs import LOW_SEED, CoreRun, CoreRuns, entries_of
from cores import core_named
from shoppers import NOW_MS, RULES, make_event
from stream.batch.core import PYTHON
from stream.batch.step import Clock, Entry

KINDS = ("view", "view", "view", "favorite", "cart", "cart", "remove_from_cart", "purchase")
ORDERS = ("purchase", "purchase", "refund")
STEPS_S = (
    0.0, 0.0, 0.001, 1.0, 15.0, 59.0, 179.9, 180.0, 181.0, 899.0, 901.0,
    1_800.0, 1_800.001, 5_000.0, -30.0, -4_000.0,
)  # fmt: skip
LETTER: Any = object()
LONG_IDS = ("i" * 128, "ü" * 70)


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[Event, int]]]:
    """Batches of what a few visitors did: out of order, sent twice, long ago, with and without details."""
    at_s, sent, found = 0.0, 0, []
    for _ in range(draw(st.integers(1, 6))):
        batch: list[tuple[Event, int]] = []
        for _ in range(draw(st.integers(0, 12))):
            at_s = max(0.0, at_s + draw(st.sampled_from(STEPS_S)))
            sent += 1
            fields = {
                "event_id": draw(st.sampled_from((f"e{sent}", f"e{sent}", f"e{sent - 3}", *LONG_IDS))),
                "quantity": draw(st.integers(1, 4)),
                "price_minor": draw(st.sampled_from((None, 0, 1, 1_999, 10**11))),
                "currency": draw(st.sampled_from((None, "EUR", "EUR", "JPY"))),
                "session_id": draw(st.sampled_from((None, "s1", "s2"))),
                "category": draw(st.sampled_from((None, "shoes", "Schuhe für Käthe"))),
                "brand": draw(st.sampled_from((None, "b" * 40, "b" * 256))),
                "customer_id": draw(st.sampled_from((None, None, GUEST, LOGGED_OUT, "c1", "c2"))),
            }
            kind = draw(st.sampled_from((*KINDS, *ORDERS)))
            user, product = draw(st.sampled_from(("u1", "u2", "ü3"))), draw(st.sampled_from(("a", "b", "ç")))
            if kind in ORDERS:
                fields["order_id"] = draw(st.sampled_from((None, "o1", "o1", f"o{sent}")))
                fields["extra"] = draw(st.sampled_from((None, None, {"line": "2"}, {"line": "2#2"})))
                product = draw(st.sampled_from((product, product, "")))
            late_ms = draw(st.sampled_from((0, 0, 0, 5, 599_999, 600_000, -20, 90_000_000)))
            event = make_event(kind, round(at_s, 3), product, user=user, **fields)
            statement = draw(st.sampled_from((None,) * 7 + tuple(Statement)))
            if statement is not None:
                event = event._replace(event_type=statement, customer_id=event.customer_id or "c1")
            batch.append((event, late_ms))
        found.append(batch)
    return found


@pytest.mark.slow
@settings(max_examples=700, deadline=None)
@given(batches(), st.lists(st.sampled_from((None, 1, 2)), min_size=6, max_size=6), st.booleans())
def test_any_batches_give_the_same(
    found: list[list[tuple[Event, int]]], seeds: list[int | None], is_timed: bool
) -> None:
    runs = CoreRuns()
    for batch, seed in zip(found, seeds, strict=False):
        runs.apply(entries_of(batch), scores_seed=seed)
        if is_timed:
            runs.pass_time(runs.python.clock.max_event_ms - RULES.session.disorder_ms)
    runs.pass_time(runs.python.clock.max_event_ms + 10**9)


@pytest.mark.slow
@pytest.mark.parametrize("step_s", [1.0, 61.0, 200.0])
@pytest.mark.parametrize("size", [7, 150, 1_200, 3_000])
def test_a_visitor_who_never_stops_gives_the_same(size: int, step_s: float) -> None:
    """The tail is settled, and digests and orders are cut, at the same places."""
    draw = random.Random(size)
    kinds = [draw.choice(KINDS) for _ in range(3_000)]
    events = [
        make_event(kind, i * step_s, f"p{draw.randrange(400)}", event_id=f"e{i}", session_id=f"s{i // 500}")
        for i, kind in enumerate(kinds)
    ]
    runs = CoreRuns()
    for start in range(0, len(events), size):
        runs.apply(entries_of([(event, 0) for event in events[start : start + size]]))
    runs.apply(entries_of([(event, 0) for event in events[-1_100:]]))  # all of them again, some forgotten


@pytest.mark.parametrize(
    ("story", "fired"),
    [
        # A churn alert disarms for its session only.
        ("cart 0, view 7200 view 7201, cart 7202", {CHURN_RISK: 2, CART_ABANDONED: 1}),
        ("cart 0, remove_from_cart 1, view 7200, cart 7201", {CHURN_RISK: 2}),
        # The purchase resolves an abandoned cart; the next one is left within the cool-down.
        (
            "cart 0, view 1000, purchase 1001, view 2900, cart 2901, view 2902, view 3902",
            {CHURN_RISK: 2, CART_ABANDONED: 1},
        ),
    ],
)
def test_alerts_of_earlier_sessions_bear_alike_on_the_next(story: str, fired: dict[str, int]) -> None:
    runs = CoreRuns()
    for batch in story.split(", "):
        words = batch.split()
        acts = zip(words[::2], map(int, words[1::2]), strict=True)
        runs.apply(entries_of([(make_event(kind, at_s), 0) for kind, at_s in acts]), scores_seed=LOW_SEED)
        runs.pass_time(runs.python.clock.max_event_ms)
    alerts = [alert.kind for alert in runs.compiled.alerts if alert.state is AlertState.FIRING]
    assert Counter(alerts) == fired


def test_letters_and_nothing_at_all_give_the_same() -> None:
    runs = CoreRuns()
    runs.apply([])
    outcome = runs.apply([Entry(0, 0, NOW_MS, None, LETTER), Entry(1, 0, NOW_MS + 5, None, None)])
    assert outcome.letters == [LETTER]
    assert outcome.clock == Clock(0, NOW_MS + 5)


def test_deleted_visitors_are_kept_out_alike() -> None:
    runs = CoreRuns()
    events = [make_event("cart", i, user=user) for i in range(4) for user in ("u1", "u2")]
    forgotten = {digest_user("u1", ""): NOW_MS + 1_000}
    outcome = runs.apply(entries_of([(event, 0) for event in events]), forgotten=forgotten)
    assert outcome.counters["forgotten"] == 2


def test_sums_stay_within_what_lua_can_count() -> None:
    runs = CoreRuns()
    for i in range(4):
        event = make_event("purchase", i, price_minor=10**12, quantity=10**6, order_id="o")
        runs.apply(entries_of([(event, 0)]))
    assert runs.compiled.visitors["u1"].totals.revenue_minor == {"EUR": 2**53}


@pytest.mark.parametrize("text", ["e", "é", "日", "🛒"])
def test_digests_of_any_length_are_those_of_hashlib(text: str) -> None:
    compiled = CoreRun(core_named("compiled"))
    ids = [text * length for length in range(1, 129)]
    events = [make_event("view", i, event_id=event_id) for i, event_id in enumerate(ids)]
    outcome = compiled.apply(entries_of([(event, 0) for event in events]), scores_seed=None, forgotten={})
    digests = b"".join(hashlib.blake2b(i.encode(), digest_size=8).digest() for i in ids)
    assert outcome.visitors["u1"].seen == digests


def test_both_names_are_cores() -> None:
    assert core_named("python") is PYTHON
    assert core_named("compiled").name == "compiled"
