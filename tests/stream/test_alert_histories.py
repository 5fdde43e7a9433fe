"""Alerts over whole histories of a visitor: no order of arrival, timer, batch or replay changes them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerted_visitor import DAY_S, AlertedVisitor, at, by_digest, histories, make_rules
from contracts.alerts import Alert, AlertState
from contracts.visitor import Action


def assert_lives_are_proper(alerts: list[Alert]) -> None:
    """Every alert fires once and ends once, in this order, and at most one of a kind is open."""
    open_ids: dict[str, str] = {}
    fired: set[str] = set()
    for alert in alerts:
        if alert.state is AlertState.FIRING:
            assert alert.alert_id not in fired
            assert alert.kind not in open_ids
            fired.add(alert.alert_id)
            open_ids[alert.kind] = alert.alert_id
        else:
            assert open_ids.pop(alert.kind) == alert.alert_id
            assert alert.at_ms >= alert.fired_ms
    assert not open_ids


@pytest.mark.slow
@settings(max_examples=150)
@given(histories(), st.permutations(range(14)), st.sampled_from([0, 60_000, 3_600_000]))
def test_no_order_of_arrival_makes_an_alert_twice_or_leaves_one_open(
    actions: list[Action], order: list[int], cooldown_ms: int
) -> None:
    alerted = AlertedVisitor(by_digest, make_rules(alert_cooldown_ms=cooldown_ms))
    for i in order:
        if i < len(actions):
            alerted.act(actions[i])
    alerted.pass_time(at(60 * DAY_S))
    assert_lives_are_proper(alerted.alerts)


@pytest.mark.slow
@settings(max_examples=150)
@given(histories(), st.randoms(use_true_random=False), st.sampled_from([0, 60_000, 3_600_000]))
def test_timers_that_come_in_time_late_or_never_lead_to_the_same_alerts(
    actions: list[Action], chance: random.Random, cooldown_ms: int
) -> None:
    rules = make_rules(alert_cooldown_ms=cooldown_ms)
    never, sometimes, always = (
        AlertedVisitor(by_digest, rules),
        AlertedVisitor(by_digest, rules),
        AlertedVisitor(by_digest, rules),
    )
    for action in actions:
        while always.visitor and (due_ms := always.next_ms) is not None and due_ms < action.at_ms:
            always.pass_time(due_ms + 1)
        if sometimes.visitor:
            sometimes.pass_time(chance.randint(sometimes.visitor.head.last_ms, action.at_ms))
        for alerted in (never, sometimes, always):
            alerted.act(action)
    for alerted in (never, sometimes, always):
        alerted.pass_time(at(60 * DAY_S))
        alerted.pass_time(at(90 * DAY_S))
    assert never.alerts == sometimes.alerts == always.alerts
    assert_lives_are_proper(never.alerts)


@settings(max_examples=150)
@given(histories(), st.randoms(use_true_random=False))
def test_without_a_model_no_split_into_batches_changes_an_alert(
    actions: list[Action], chance: random.Random
) -> None:
    whole, single, split = AlertedVisitor(), AlertedVisitor(), AlertedVisitor()
    whole.act(*actions)
    rest = list(actions)
    while rest:
        size = chance.randint(1, len(rest))
        split.act(*rest[:size])
        del rest[:size]
    for action in actions:
        single.act(action)
    for alerted in (whole, single, split):
        alerted.pass_time(at(60 * DAY_S))
    ids = [[(a.record_id, a.at_ms, a.severity) for a in alerted.alerts] for alerted in (whole, single, split)]
    assert ids[0] == ids[1] == ids[2]


@pytest.mark.slow
@given(histories())
def test_a_replay_of_the_same_batches_gives_the_same_alerts(actions: list[Action]) -> None:
    once, again = AlertedVisitor(by_digest), AlertedVisitor(by_digest)
    for alerted in (once, again):
        for action in actions:
            alerted.act(action)
    assert once.alerts == again.alerts
