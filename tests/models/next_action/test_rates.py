"""Conversion rates of items: everybody else's past, never the visitor's own, never what is to come."""

from math import log

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Event
from models.next_action.prefixes import actions_by_visitor
from models.next_action.rates import RATE_FEATURES, Funnel, rates_by_action, relative_rates
from shoppers import NOW_MS, make_event

PER_VIEW, PER_CART = (
    RATE_FEATURES.index(f"product_{name}") for name in ("carts_per_view", "purchases_per_cart")
)

shopping = st.builds(
    lambda kind, at_s, product, user, category: make_event(kind, at_s, product, user=user, category=category),
    st.sampled_from(["view", "favorite", "cart", "remove_from_cart", "purchase"]),
    st.integers(0, 40),
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(["u1", "u2", "u3"]),
    st.sampled_from([None, "x"]),
)


def rates(events: list[Event]) -> dict[bytes, list[float]]:
    """The rates at each action, by its id."""
    by_visitor = list(actions_by_visitor(events).values())
    actions = [action for own in by_visitor for action in own]
    return {
        action.digest: row for action, row in zip(actions, rates_by_action(by_visitor).tolist(), strict=True)
    }


def one(found: dict[bytes, list[float]], event: Event) -> list[float]:
    (own,) = actions_by_visitor([event])[event.user_id]
    return found[own.digest]


def test_a_product_that_others_bought_more_than_most_has_high_rates() -> None:
    others = [
        make_event(kind, at_s, product, user=f"{product}{n}")
        for n in range(20)
        for product in ("hot", "cold")
        for at_s, kind in enumerate(["view", "cart", "purchase"] if product == "hot" else ["view"])
    ]
    hot, cold, new = (make_event("view", 100, product, user="me") for product in ("hot", "cold", "new"))
    found = rates([*others, hot, cold, new])
    assert one(found, hot)[PER_VIEW] > 0.2 > -0.2 > one(found, cold)[PER_VIEW]
    assert one(found, new) == [0.0] * len(RATE_FEATURES)


def test_a_rate_is_shrunk_to_the_shops() -> None:
    shop = Funnel(views=990, carts=99, purchases=32)
    few, many = Funnel(1, 1, 0), Funnel(1_000, 1_000, 0)
    assert relative_rates(few, shop)[0] == log((1 / 0.1 + 20) / 21)
    assert relative_rates(many, shop)[0] > 2
    assert relative_rates(many, shop)[1] < relative_rates(few, shop)[1] < 0


@settings(deadline=None, max_examples=200)
@given(st.lists(shopping, max_size=25), st.lists(shopping, max_size=10))
def test_what_a_visitor_did_is_never_in_their_rates(events: list[Event], more: list[Event]) -> None:
    mine = [event._replace(user_id="u1") for event in more]
    before, after = rates(events), rates([*events, *mine])
    for event in events:
        if event.user_id == "u1":
            assert one(before, event) == one(after, event)


@settings(deadline=None, max_examples=200)
@given(st.lists(shopping, max_size=25), st.lists(shopping, max_size=10), st.integers(0, 40))
def test_what_happens_at_the_same_time_or_later_is_in_no_rate(
    events: list[Event], more: list[Event], cut_s: int
) -> None:
    later = [event for event in more if event.event_time_ms >= NOW_MS + cut_s * 1_000]
    before, after = rates(events), rates([*events, *later])
    for event in events:
        if event.event_time_ms <= NOW_MS + cut_s * 1_000:
            assert one(before, event) == one(after, event)


@settings(deadline=None, max_examples=50)
@given(st.lists(shopping, max_size=25))
def test_rates_are_finite(events: list[Event]) -> None:
    assert np.isfinite(list(rates(events).values())).all()
