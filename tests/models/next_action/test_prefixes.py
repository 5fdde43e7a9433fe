"""Cases from files: what they are, how they are split, and that none of them knows its future."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Event, Statement
from contracts.visitor import Action
from models.next_action.actions import TARGETS
from models.next_action.encoding import MAX_STEPS, STEP_FEATURES, encode_actions, encode_visitor, stack_ids
from models.next_action.prefixes import PrefixSet, actions_by_visitor, concatenate, prefixes_of
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from shoppers import NOW_MS, make_action, make_event
from stream.visitors.session import SessionSettings, absorb

IDLE_MS = 30 * 60_000

shopping = st.builds(
    lambda kind, at_s, product, user, price, category: make_event(
        kind, at_s, product, user=user, price_minor=price, category=category
    ),
    st.sampled_from(["view", "favorite", "cart", "remove_from_cart", "purchase"]),
    st.integers(0, 9_000),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["u1", "u2"]),
    st.sampled_from([None, 100, 2_500]),
    st.sampled_from([None, "x", "y"]),
)


def prefixes(*events: Event) -> PrefixSet:
    return prefixes_of(events, idle_ms=IDLE_MS)


def action_of(event: Event) -> Action:
    (action,) = actions_by_visitor([event])[event.user_id]
    return action


def encoded_at(cases: PrefixSet, at_ms: int) -> dict[tuple[int, int, int, bytes], tuple[bytes, ...]]:
    """Everything a model sees of each case up to a time, by where the case stands."""
    known = cases.select(cases.at_ms <= at_ms)
    encoded: dict[tuple[int, int, int, bytes], tuple[bytes, ...]] = {}
    for i in range(len(known)):
        steps, lengths, context = known.batch(np.array([i]))
        ids = known.batch_ids(np.array([i]))
        place = int(known.start_ms[i]), int(known.at_ms[i]), int(known.length[i]), context.tobytes()
        encoded[place] = steps.tobytes(), lengths.tobytes(), ids.tobytes()
    return encoded


def test_every_prefix_is_a_case_with_its_next_action() -> None:
    cases = prefixes(
        make_event("view", 0),
        make_event("favorite", 5),
        make_event("cart", 9),
        make_event("remove_from_cart", 12),
        make_event("purchase", 20),
        make_event("view", 4_000),
    )
    targets = [TARGETS[target] for target in cases.target]
    assert targets == ["view", "cart", "remove_from_cart", "purchase", "leave", "leave"]
    assert cases.will_buy.tolist() == [True, True, True, True, False, False]
    assert cases.session.tolist() == [0, 0, 0, 0, 0, 1]
    assert cases.length.tolist() == [1, 2, 3, 4, 5, 1]
    assert (cases.start_ms - NOW_MS).tolist() == [0, 0, 0, 0, 0, 4_000_000]
    assert (cases.end_ms - NOW_MS).tolist() == [20_000] * 5 + [4_000_000]
    assert (cases.watched_ms - NOW_MS).tolist() == [4_000_000] * 6


def test_visitors_are_apart_and_events_may_come_in_any_order() -> None:
    events = [make_event("view", 0), make_event("cart", 3, user="u2"), make_event("purchase", 6)]
    cases = prefixes(*reversed(events))
    assert sorted(TARGETS[target] for target in cases.target) == ["leave", "leave", "purchase"]


def test_a_repeated_event_id_is_one_event_and_equal_content_is_not() -> None:
    event = make_event("view", 0)
    assert len(prefixes(event, event, event._replace(event_id="another"))) == 2


def test_refunds_and_statements_are_no_actions() -> None:
    view = make_event("view", 0)
    login = view._replace(event_id="login", event_type=Statement.IDENTIFY, customer_id="c1")
    assert len(prefixes(view, make_event("refund", 5), login)) == 1


def test_no_events_are_no_cases() -> None:
    cases = prefixes()
    assert len(cases) == 0
    assert cases.steps.shape == (0, len(STEP_FEATURES))


def test_a_case_is_encoded_as_its_actions_are() -> None:
    kinds = ["view", "cart", "view", "favorite", "remove_from_cart", "purchase"]
    events = [make_event(kinds[i % 6], i * 20, f"p{i % 7}", price_minor=50 + i) for i in range(90)]
    cases = prefixes(*events)
    level, actions = UNKNOWN_LEVEL, []
    steps, lengths, context = cases.batch(slice(None))
    assert steps.shape == (90, MAX_STEPS, len(STEP_FEATURES))
    for i, event in enumerate(events):
        actions.append(make_action(kinds[i % 6], i * 20, event.product_id, price=event.price_minor))
        rows, row = encode_actions(actions, level, IDLE_MS)
        level = level.after(event.price_minor)
        assert lengths[i] == len(rows)
        np.testing.assert_allclose(steps[i, : lengths[i]], rows, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(context[i], row, rtol=1e-4, atol=1e-5)
        assert not steps[i, lengths[i] :].any()


def test_a_case_is_encoded_as_the_live_visitor_is_at_that_moment() -> None:
    kinds = ["view", "cart", "view", "view", "remove_from_cart", "favorite", "purchase", "cart", "view"]
    gaps_s = [15, 40, 600, 5_000] + [25] * 95  # some short sessions, then one longer than what is kept of it
    events, at_s = [], 0
    for i in range(300):
        at_s += gaps_s[i % len(gaps_s)]
        events.append(make_event(kinds[i % 9], at_s, f"p{i % 7}", price_minor=50 + i, category=f"c{i % 2}"))
    cases = prefixes(*events)
    level, visitor = UNKNOWN_LEVEL, None
    for i, event in enumerate(events):
        visitor, _ = absorb(visitor, [action_of(event)], SessionSettings(IDLE_MS, 60_000))
        rows, row = encode_visitor(visitor, level, IDLE_MS)
        level = level.after(event.price_minor)
        steps, _, context = cases.batch(np.array([i]))
        np.testing.assert_allclose(steps[0], rows, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(context[0], row, rtol=1e-4, atol=1e-5)
        ids = stack_ids([visitor.tail.actions()], np.array([len(rows)]))
        np.testing.assert_array_equal(ids, cases.batch_ids(np.array([i])))
    assert visitor is not None
    assert visitor.base is not None
    assert visitor.head.number > 3


def test_the_price_level_is_the_shops_and_of_before_the_case() -> None:
    cases = prefixes(
        make_event("view", 5, user="u2", price_minor=400),
        make_event("view", 0, price_minor=100),
        make_event("view", 9, price_minor=100),
    )
    level = PriceLevel(0.0, 0.0).after(100).after(400).mean_log
    at = np.argsort(cases.at_ms)
    np.testing.assert_allclose(cases.level[at], [np.nan, np.log(100), level], rtol=1e-6)
    column = STEP_FEATURES.index("price_vs_shop")
    assert cases.batch(at[:1])[0][0, 0, column] == 0
    assert cases.batch(at[2:])[0][0, 1, column] == pytest.approx(np.log(100) - level, abs=1e-5)


@settings(deadline=None, max_examples=150)
@given(st.lists(shopping, max_size=25), st.lists(shopping, max_size=10), st.integers(0, 9_000))
def test_what_happens_after_a_prefix_never_changes_its_encoding(
    events: list[Event], others: list[Event], cut_s: int
) -> None:
    cut_ms = NOW_MS + cut_s * 1_000
    past = [event for event in events if event.event_time_ms <= cut_ms]
    later = [event for event in others if event.event_time_ms > cut_ms]
    as_it_was = encoded_at(prefixes(*events), cut_ms)
    assert encoded_at(prefixes(*past), cut_ms) == as_it_was
    assert encoded_at(prefixes(*past, *later), cut_ms) == as_it_was


@settings(deadline=None, max_examples=60)
@given(st.lists(shopping, min_size=1, max_size=25), st.integers(0, 24))
def test_the_steps_of_a_prefix_are_the_first_steps_of_a_longer_one(events: list[Event], at: int) -> None:
    cases = prefixes(*events)
    case = at % len(cases)
    longer = np.flatnonzero((cases.session == cases.session[case]) & (cases.length > cases.length[case]))
    flat = replace(cases, level=np.zeros_like(cases.level))
    own = flat.batch(np.array([case]))[0][0]
    for other in longer:
        np.testing.assert_array_equal(flat.batch(np.array([other]))[0][0, : len(own)], own)


def answers(cases: PrefixSet) -> Counter[tuple[bytes, int, int, int, bool]]:
    """What is seen of each case and what followed it, as often as it is there."""
    return Counter(
        (
            cases.context[i].tobytes(), int(cases.start_ms[i]), int(cases.length[i]),
            int(cases.target[i]), bool(cases.will_buy[i]),
        )
        for i in range(len(cases))
    )  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(shopping, max_size=30), st.integers(0, 9_000))
def test_cutting_the_data_anywhere_changes_no_answer_that_remains(events: list[Event], cut_s: int) -> None:
    whole = prefixes(*events)
    cut = prefixes(*(event for event in events if event.event_time_ms <= NOW_MS + cut_s * 1_000))
    assert answers(cut.select(cut.known())) <= answers(whole.select(whole.known()))


@settings(deadline=None, max_examples=150)
@given(st.lists(shopping, max_size=30), st.integers(0, 9_000))
def test_a_border_within_the_data_hides_what_their_end_there_would(events: list[Event], cut_s: int) -> None:
    until_ms = NOW_MS + cut_s * 1_000
    whole = prefixes(*events, make_event("view", 9_001, user="after"))
    past = [event for event in events if event.event_time_ms < until_ms]
    cut = prefixes(*past, make_event("view", cut_s, user="after"))
    known = whole.select((whole.start_ms < until_ms) & whole.known(until_ms))
    assert answers(known) == answers(cut.select(cut.known()))


def test_a_session_that_may_go_on_has_no_answer_of_any_kind() -> None:
    over, open_ = [("view", 0), ("cart", 60)], [("view", 70), ("cart", 80), ("purchase", 90)]
    cases = prefixes(
        *(make_event(kind, at_s, user="a") for kind, at_s in over),
        *(make_event(kind, at_s, user="b") for kind, at_s in open_),
        make_event("view", 1_861, user="c"),
    )
    known = cases.select(cases.known())
    assert [TARGETS[target] for target in known.target] == ["cart", "leave"]
    assert not cases.known(NOW_MS + 1_860_000).any(), "a next action may still come at the border"


def test_a_hole_in_the_data_is_their_end() -> None:
    cases = prefixes(
        make_event("view", 0, user="a"),
        make_event("view", 3_000, user="b"),
        make_event("view", 3_000 + 86_401, user="c"),
        make_event("view", 90_000 + 3_000, user="d"),
    )
    assert cases.known()[np.argsort(cases.at_ms)].tolist() == [True, False, True, False]


def test_train_and_valid_know_nothing_of_what_happens_after_their_end() -> None:
    cases = prefixes(
        make_event("view", 0, user="a"),
        make_event("cart", 10, user="a"),
        make_event("view", 2_000, user="b"),
        make_event("purchase", 3_100, user="b"),
        make_event("view", 3_000, user="c"),
        make_event("view", 5_100, user="d"),
        make_event("view", 9_000, user="e"),
    )
    train, valid, test = cases.split(NOW_MS + 3_000_000, NOW_MS + 5_000_000)
    assert sorted(((train.at_ms - NOW_MS) // 1_000).tolist()) == [0, 10]
    assert ((valid.at_ms - NOW_MS) // 1_000).tolist() == [3_000]
    assert ((test.at_ms - NOW_MS) // 1_000).tolist() == [5_100]
    assert all(part.steps is cases.steps for part in (train, valid, test))


def test_boundaries_are_shares_of_sessions() -> None:
    cases = prefixes(*(make_event("view", i * 10, user=f"u{i}") for i in range(10)))
    assert cases.boundaries(0.6, 0.7) == (NOW_MS + 60_000, NOW_MS + 70_000)


def test_padding_and_neighbours_do_not_change_a_case() -> None:
    cases = prefixes(*(make_event("view", i, price_minor=100 + i) for i in range(40)))
    steps, lengths, context = cases.batch(np.array([0, 39, 5]))
    alone = cases.batch(np.array([5]))
    assert steps.shape[1] == MAX_STEPS
    np.testing.assert_array_equal(steps[2, : lengths[2]], alone[0][0])
    np.testing.assert_array_equal(context[2], alone[2][0])
    assert not steps[2, lengths[2] :].any()
    assert cases.batch_ids(np.array([0, 39])).shape == (2, MAX_STEPS, 3)


def test_sets_of_several_shops_are_one_set() -> None:
    one = prefixes(make_event("view", 0), make_event("cart", 5), make_event("view", 9_000))
    two = prefixes(make_event("purchase", 3, price_minor=700), make_event("view", 9))
    both = concatenate([one, two])
    assert both.session.tolist() == [0, 0, 1, 2, 2]
    np.testing.assert_array_equal(both.batch(slice(3, 5))[0], two.batch(slice(None))[0])
    np.testing.assert_array_equal(both.target, np.concatenate([one.target, two.target]))
