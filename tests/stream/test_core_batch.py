"""The compiled batch step and the compiled blobs give what Python's do, whatever visitors do."""

import dataclasses
import hashlib
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState
from contracts.deletions import digest_user
from contracts.events import Event
from contracts.scores import Score, round_score
from contracts.visitor import Visitor, pack_visitor, unpack_visitor
from cores import core_named, exact
from shoppers import NOW_MS, RULES, make_event
from stream.batch.core import PYTHON, Core
from stream.batch.step import BatchResult, Clock, Entry, StepSettings, fire_deadlines, take_scores
from stream.components.deletions.component import Deletions

KINDS = ("view", "view", "view", "favorite", "cart", "cart", "remove_from_cart", "purchase")
STEPS_S = (
    0.0, 0.0, 0.001, 1.0, 15.0, 59.0, 179.9, 180.0, 181.0, 899.0, 901.0,
    1_800.0, 1_800.001, 5_000.0, -30.0, -4_000.0,
)  # fmt: skip
LETTER: Any = object()
LONG_IDS = ("i" * 128, "ü" * 70)
CHANCES = (0.05, 0.2, 0.4, 0.9)
LOW_SEED = 0
"""With this seed every visitor gets the lowest of `CHANCES`."""


class CoreRun:
    """One partition through one implementation of the steps."""

    def __init__(self, core: Core, rules: StepSettings = RULES) -> None:
        self.core = core
        self.rules = rules
        self.clock = Clock(0, 0)
        self.deletions = Deletions("")
        self.visitors: dict[str, Visitor] = {}
        self.timers: dict[str, int] = {}
        self.alerts: list[Alert] = []

    def apply(
        self, entries: list[Entry], *, scores_seed: int | None, forgotten: dict[str, int]
    ) -> BatchResult:
        screen = self.deletions.screen(forgotten)
        screens = [] if screen is None else [screen]
        outcome = self.core.apply_batch(self.clock, entries, self.visitors, self.rules, screens=screens)
        if scores_seed is not None:
            draw = random.Random(scores_seed)
            scores = {
                user: make_score(
                    visitor, draw, draw.choice(CHANCES[:1] if scores_seed == LOW_SEED else CHANCES)
                )
                for user, visitor in sorted(outcome.visitors.items())
            }
            take_scores(outcome, scores, RULES.alerts)
        return self._adopt(outcome)

    def pass_time(self, watermark_ms: int) -> BatchResult:
        due = sorted(user for user, at_ms in self.timers.items() if at_ms < watermark_ms)
        return self._adopt(fire_deadlines(self.clock, watermark_ms, due, self.visitors, self.rules))

    def _adopt(self, outcome: BatchResult) -> BatchResult:
        self.clock = outcome.clock
        self.visitors.update(outcome.visitors)
        self.alerts += outcome.prediction_results.alerts
        self.timers.update(outcome.timers)
        self.timers = {user: at_ms for user, at_ms in self.timers.items() if at_ms}
        return outcome


def make_score(visitor: Visitor, draw: random.Random, chance: float) -> Score:
    """A score of this very state."""
    head = visitor.head
    parts = [draw.random() for _ in range(5)]
    chances = tuple(part / sum(parts) for part in parts)
    return round_score(Score("m1", head.last_ms, sum(head.counts), head.number, chances, chance))


class CoreRuns:
    """The same partition through both implementations, every outcome compared."""

    def __init__(self, rules: StepSettings = RULES) -> None:
        self.python, self.compiled = CoreRun(PYTHON, rules), CoreRun(core_named("compiled"), rules)

    def apply(
        self, entries: list[Entry], *, scores_seed: int | None = None, forgotten: dict[str, int] | None = None
    ) -> BatchResult:
        found = [
            run.apply(entries, scores_seed=scores_seed, forgotten=forgotten or {})
            for run in (self.python, self.compiled)
        ]
        return self._same(*found)

    def pass_time(self, watermark_ms: int) -> BatchResult:
        return self._same(self.python.pass_time(watermark_ms), self.compiled.pass_time(watermark_ms))

    def _same(self, expected: BatchResult, found: BatchResult) -> BatchResult:
        assert parts_of(found) == parts_of(expected)
        assert list(found.visitors) == list(expected.visitors)
        states = list(expected.visitors.values())
        blobs = [pack_visitor(state) for state in states]
        assert self.compiled.core.pack_visitors(found.visitors.values()) == blobs
        assert exact([unpack_visitor(blob) for blob in blobs]) == exact(states)
        return found


def parts_of(outcome: BatchResult) -> dict[str, Any]:
    """All of an outcome, types included."""
    parts = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    for name in ("counts", "prediction_results"):
        parts |= {f"{name}.{f.name}": getattr(parts[name], f.name) for f in dataclasses.fields(parts[name])}
        del parts[name]
    tally = parts.pop("prediction_results.tally")
    return {name: exact(part) for name, part in parts.items()} | {"tally": (tally.minutes, tally.errors)}


def entries_of(events: list[tuple[Event, int]]) -> list[Entry]:
    """Entries of events and how long after their event time each arrived (ms)."""
    return [Entry(i, e.event_time_ms, e.event_time_ms + late, e, None) for i, (e, late) in enumerate(events)]


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
            }
            kind = draw(st.sampled_from(KINDS))
            if kind == "purchase":
                fields["order_id"] = draw(st.sampled_from((None, "o1", f"o{sent}")))
            user, product = draw(st.sampled_from(("u1", "u2", "ü3"))), draw(st.sampled_from(("a", "b", "ç")))
            late_ms = draw(st.sampled_from((0, 0, 0, 5, 599_999, 600_000, -20, 90_000_000)))
            batch.append((make_event(kind, round(at_s, 3), product, user=user, **fields), late_ms))
        found.append(batch)
    return found


@pytest.mark.slow
@settings(max_examples=700, deadline=None)
@given(batches(), st.lists(st.sampled_from((None, 1, 2)), min_size=6, max_size=6), st.booleans())
def test_any_batches_give_the_same(
    found: list[list[tuple[Event, int]]], seeds: list[int | None], is_timed: bool
) -> None:
    lanes = CoreRuns()
    for batch, seed in zip(found, seeds, strict=False):
        lanes.apply(entries_of(batch), scores_seed=seed)
        if is_timed:
            lanes.pass_time(lanes.python.clock.max_event_ms - RULES.session.disorder_ms)
    lanes.pass_time(lanes.python.clock.max_event_ms + 10**9)


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
    lanes = CoreRuns()
    for start in range(0, len(events), size):
        lanes.apply(entries_of([(event, 0) for event in events[start : start + size]]))
    lanes.apply(entries_of([(event, 0) for event in events[-1_100:]]))  # all of them again, some forgotten


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
def test_alerts_of_earlier_sessions_bear_alike_on_the_next(story: str, fired: dict[int]) -> None:
    lanes = CoreRuns()
    for batch in story.split(", "):
        words = batch.split()
        acts = zip(words[::2], map(int, words[1::2]), strict=True)
        lanes.apply(entries_of([(make_event(kind, at_s), 0) for kind, at_s in acts]), scores_seed=LOW_SEED)
        lanes.pass_time(lanes.python.clock.max_event_ms)
    alerts = [alert.kind for alert in lanes.compiled.alerts if alert.state is AlertState.FIRING]
    assert Counter(alerts) == fired


def test_letters_and_nothing_at_all_give_the_same() -> None:
    lanes = CoreRuns()
    lanes.apply([])
    outcome = lanes.apply([Entry(0, 0, NOW_MS, None, LETTER), Entry(1, 0, NOW_MS + 5, None, None)])
    assert outcome.letters == [LETTER]
    assert outcome.clock == Clock(0, NOW_MS + 5)


def test_deleted_visitors_are_kept_out_alike() -> None:
    lanes = CoreRuns()
    events = [make_event("cart", i, user=user) for i in range(4) for user in ("u1", "u2")]
    forgotten = {digest_user("u1", ""): NOW_MS + 1_000}
    outcome = lanes.apply(entries_of([(event, 0) for event in events]), forgotten=forgotten)
    assert outcome.counters["forgotten"] == 2


def test_sums_stay_within_what_lua_can_count() -> None:
    lanes = CoreRuns()
    for i in range(4):
        event = make_event("purchase", i, price_minor=10**12, quantity=10**6, order_id="o")
        lanes.apply(entries_of([(event, 0)]))
    assert lanes.compiled.visitors["u1"].totals.revenue_minor == {"EUR": 2**53}


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
