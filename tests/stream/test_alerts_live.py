"""Alerts of whole batches: against an independent replay, under any split of the log, and with a model."""

import random
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerted_visitor import make_rules
from contracts.alerts import CART_ABANDONED, Alert
from contracts.events import Event
from ops.audit import CartAlertRules, CartStep, abandoned_carts, sent_events_of
from ops.audit.expected import COLUMNS
from shoppers import NOW_MS, RULES, SETTINGS, Shop, make_entries, make_event

DAY_S = 86_400
KINDS = ("view", "view", "favorite", "cart", "cart", "remove_from_cart", "purchase")
GAPS_S = (0, 1, 30, 180, 899, 900, 901, 1_800, 1_801, 4_000, 10_000, DAY_S - 901, DAY_S, DAY_S + 901)
COOLDOWNS_MS = (0, 60_000, 3_600_000, 3 * DAY_S * 1_000)
LONG_AFTER_MS = NOW_MS + 90 * DAY_S * 1_000


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Events of up to three visitors in order of time, with gaps around every deadline."""
    events, now_s = [], 0
    for i in range(draw(st.integers(1, 20))):
        now_s += draw(st.sampled_from(GAPS_S))
        user, product = draw(st.sampled_from(("u1", "u1", "u2", "u3"))), draw(st.sampled_from("ab"))
        kind = draw(st.sampled_from(KINDS))
        event = make_event(kind, now_s, product, user=user, quantity=draw(st.integers(1, 2)))
        events.append(event._replace(event_id=f"{i}"))
    return events


def frame_of(events: list[Event], *, late_ms: int = 0) -> pl.DataFrame:
    """The events as the audit wants them."""
    rows = [
        (e.event_id, e.event_type.value, e.event_time_ms, e.user_id, e.product_id, e.quantity, e.price_minor,
         e.currency, e.order_id, e.session_id, e.event_time_ms + late_ms)
        for e in events
    ]  # fmt: skip
    return pl.DataFrame(rows, schema={**COLUMNS, "arrived_ms": pl.Int64}, orient="row")


def steps_of(alerts: list[Alert]) -> dict[str, list[CartStep]]:
    """What the audit compares, of the stream's own alerts."""
    steps: dict[str, list[CartStep]] = {}
    for a in alerts:
        if a.kind == CART_ABANDONED:
            step = CartStep(
                a.record_id, str(a.user_id), a.state, a.at_ms, a.fired_ms, a.detail.session_start_ms,
                a.episode, a.detail.cart_lines, a.live,
            )  # fmt: skip
            steps.setdefault(str(a.user_id), []).append(step)
    return steps


def split(events: list[Event], chance: random.Random) -> list[list[Event]]:
    batches, rest = [], list(events)
    while rest:
        size = chance.randint(1, len(rest))
        batches.append(rest[:size])
        del rest[:size]
    return batches


def cart_rules(cooldown_ms: int, *, live: bool = True) -> CartAlertRules:
    return replace(CartAlertRules.of(SETTINGS, live=live), cooldown_ms=cooldown_ms)


def run(batches: list[list[Event]], cooldown_ms: int, chance: random.Random | None = None) -> Shop:
    """A shop after these batches, with timers between them at random, and after long silence."""
    shop = Shop(replace(RULES, alerts=make_rules(alert_cooldown_ms=cooldown_ms)))
    for batch in batches:
        if chance is not None and shop.clock.max_event_ms:
            shop.fire(
                chance.randint(shop.clock.max_event_ms, max(batch[0].event_time_ms, shop.clock.max_event_ms))
            )
        shop.apply(make_entries(batch))
    shop.fire(LONG_AFTER_MS)
    return shop


@pytest.mark.slow
@settings(max_examples=400)
@given(logs(), st.randoms(use_true_random=False), st.sampled_from(COOLDOWNS_MS))
def test_abandoned_carts_are_those_of_an_independent_replay(
    events: list[Event], chance: random.Random, cooldown_ms: int
) -> None:
    expected = abandoned_carts(dict(sent_events_of(frame_of(events))), cart_rules(cooldown_ms))
    assert steps_of(run(split(events, chance), cooldown_ms, chance).alerts) == expected
