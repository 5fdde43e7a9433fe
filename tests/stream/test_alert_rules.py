"""A rule from outside decides on visitors like those of the product, also where the steps are compiled."""

import random
from collections.abc import Iterator

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerted_visitor import DAY_S, RULES, AlertedVisitor, at, histories
from browse_alerts import BROWSING, TTL_MS, Browsing, browsing
from contracts.alerts import CART_ABANDONED, Alert, AlertState
from contracts.visitor import pack_visitor, unpack_visitor
from contracts.visitor_alerts import KindState, VisitorAlerts, pack_alerts, unpack_alerts
from cores import NAMES, core_named
from registrations import own_registrations
from shoppers import NOW_MS, SETTINGS, make_action, make_entries, make_event
from stream.alerts.registry import AlertRules, InvalidRule, register_rule
from stream.batch.core import Core
from stream.batch.step import Clock, StepSettings, fire_deadlines


@pytest.fixture(autouse=True, scope="module")
def rule() -> Iterator[None]:
    with browsing():
        yield


def kinds_of(alerts: list[Alert]) -> list[tuple[str, str, float]]:
    return [(a.kind, a.state.value, (a.at_ms - NOW_MS) / 1_000) for a in alerts if a.kind == BROWSING.name]


def test_it_fires_at_an_action_and_a_purchase_settles_it() -> None:
    alerted = AlertedVisitor(rules=AlertRules.of(SETTINGS))
    alerted.act(make_action("view", 0))
    (alert,) = alerted.act(make_action("favorite", 1))
    assert (alert.kind, str(alert.subject), alert.detail.views, alert.episode) == (
        "browsing",
        "visitor:u1",
        1,
        1,
    )
    assert alerted.act(make_action("favorite", 2)) == []  # one is open
    (end,) = alerted.act(make_action("purchase", 3))
    assert (end.alert_id, end.state, end.reasons) == (alert.alert_id, AlertState.RESOLVED, ())


def test_it_fires_in_silence_and_expires() -> None:
    alerted = AlertedVisitor(rules=AlertRules.of(SETTINGS))
    for second in range(3):
        alerted.act(make_action("view", second, name=str(second)))
    assert alerted.next_ms == at(122)
    assert kinds_of(alerted.pass_time(at(10_000))) == [
        ("browsing", "firing", 122.0),
        ("browsing", "expired", 122.0 + TTL_MS / 1_000),
    ]


def test_the_kinds_of_the_product_go_on_beside_it() -> None:
    alerted = AlertedVisitor(rules=AlertRules.of(SETTINGS))
    alerted.act(make_action("cart", 0, "a"))
    assert [a.kind for a in alerted.pass_time(at(DAY_S * 4))] == [CART_ABANDONED] * 2


def test_what_is_kept_of_it_lies_in_a_field_of_its_own() -> None:
    alerted = AlertedVisitor(rules=AlertRules.of(SETTINGS))
    alerted.act(make_action("favorite", 1))
    packed = pack_alerts(alerted.alert_state)
    assert len(packed) == 10
    kept = alerted.alert_state._replace(watched=(), counted=())  # these lie elsewhere
    assert unpack_alerts(msgpack.unpackb(msgpack.packb(packed))) == kept
    others, _ = packed[9]
    assert others == {"browsing": tuple(alerted.alert_state.of("browsing"))}


def test_a_worker_without_the_rule_keeps_its_state() -> None:
    alerted = AlertedVisitor(rules=AlertRules.of(SETTINGS))
    alerted.act(make_action("favorite", 1))
    packed = pack_alerts(alerted.alert_state)
    without = unpack_alerts(msgpack.unpackb(msgpack.packb(packed)))
    plain = AlertedVisitor(rules=RULES)
    plain.visitor, plain.alert_state = alerted.visitor, without
    plain.act(make_action("purchase", 5))
    assert plain.alerts == []
    assert pack_alerts(plain.alert_state)[9] == packed[9]


def test_a_state_of_the_products_kinds_alone_is_what_every_version_reads() -> None:
    alert_state = VisitorAlerts(1, 2, True, {CART_ABANDONED: KindState(1, 5)})
    assert pack_alerts(alert_state) == (1, 2, (0, 1), True, False, (0, 5), 0, True, ())


def test_a_rule_needs_a_kind_about_visitors_of_its_own() -> None:
    class Nameless(Browsing):
        kind = "nameless"

    with own_registrations():
        register_rule(Nameless)
        with pytest.raises(InvalidRule, match="'nameless' is not registered as a kind"):
            AlertRules.of(SETTINGS)


@settings(max_examples=60)
@given(histories(), st.randoms(use_true_random=False))
def test_timers_decide_nothing_that_the_next_action_would_not(actions, chance: random.Random) -> None:
    rules = AlertRules.of(SETTINGS)
    one, other = AlertedVisitor(rules=rules), AlertedVisitor(rules=rules)
    for action in actions:
        if chance.random() < 0.5:
            other.pass_time(action.at_ms)
        one.act(action)
        other.act(action)
    end_ms = actions[-1].at_ms + 4 * DAY_S * 1_000
    one.pass_time(end_ms)
    other.pass_time(end_ms)
    assert one.alerts == other.alerts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_the_compiled_steps_come_to_the_same(seed: int) -> None:
    step_settings = StepSettings.of(SETTINGS)
    kinds = ("view", "view", "view", "favorite", "cart", "purchase")
    one, other = [run_core(core_named(name), random.Random(seed), step_settings, kinds) for name in NAMES]
    assert one == other


def run_core(
    core: Core, draw: random.Random, step_settings: StepSettings, kinds: tuple[str, ...]
) -> tuple[list[Alert], bytes, dict[str, int]]:
    visitor, clock, now_s = None, Clock(0, 0), 0
    alerts: list[Alert] = []
    timers: dict[str, int] = {}
    for batch in range(6):
        events = []
        for i in range(draw.randint(1, 4)):
            now_s += draw.choice([0, 1, 60, 119, 121, 1_000, 4_000])
            event = make_event(draw.choice(kinds), now_s, draw.choice("ab"))
            events.append(event._replace(event_id=f"{batch}-{i}"))
        result = core.apply_batch(clock, make_entries(events), {"u1": visitor}, step_settings)
        clock, visitor = result.clock, result.visitors["u1"]
        alerts += result.prediction_results.alerts
        timers |= result.timers
        if draw.random() < 0.3:
            fired = fire_deadlines(clock, clock.max_event_ms, ["u1"], {"u1": visitor}, step_settings)
            visitor = fired.visitors["u1"]
            alerts += fired.prediction_results.alerts
    assert visitor is not None
    (blob,) = core.pack_visitors([visitor])
    assert pack_visitor(unpack_visitor(blob)) == blob
    return alerts, blob, timers
