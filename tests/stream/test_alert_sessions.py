"""Alerts belong to a session, whatever number late events give it."""

from alerted_visitor import AlertedVisitor, at, make_rules
from contracts.alerts import Alert, AlertState
from shoppers import make_action

HIGH, MIDDLING, LOW = 0.9, 0.3, 0.01


def firings(alerted: AlertedVisitor) -> list[Alert]:
    return [alert for alert in alerted.alerts if alert.state is AlertState.FIRING]


def test_intent_ends_with_its_session_though_a_late_event_joined_it_with_the_one_before() -> None:
    chances = {at(0): MIDDLING, at(3_000): HIGH, at(9_000): LOW}
    alerted = AlertedVisitor(lambda session: chances[session.start_ms])
    alerted.act(make_action("view", 0))
    alerted.act(make_action("view", 3_000))
    alerted.act(make_action("view", 1_500))  # two sessions become one, the first
    alerted.act(make_action("view", 9_000))
    assert alerted.visitor is not None
    assert alerted.visitor.head.number == 2
    assert not alerted.alerts


def test_a_session_that_late_events_join_arms_the_next_one() -> None:
    alerted = AlertedVisitor(lambda _: LOW, make_rules(alert_cooldown_ms=0))
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("cart", 3_000, "a"))
    alerted.act(make_action("view", 1_500))
    alerted.act(make_action("cart", 9_000, "a"))
    *before, risk = firings(alerted)
    assert risk.detail.session_start_ms == at(9_000)
    assert risk.alert_id not in {alert.alert_id for alert in before}


def test_a_session_remembers_its_intent_though_a_late_event_made_one_before_it() -> None:
    rules = make_rules(churn_needs_cart=False)
    alerted = AlertedVisitor(lambda session: HIGH if session.number == 1 else LOW, rules)
    alerted.act(make_action("view", 10_000))
    alerted.act(make_action("view", 0))  # the session is the second now
    alerted.act(make_action("view", 10_001))
    (alert,) = alerted.alerts
    assert (alert.detail.session, alert.detail.session_start_ms) == (2, at(10_000))


def test_a_session_stays_disarmed_though_a_late_event_made_one_before_it() -> None:
    alerted = AlertedVisitor(lambda _: LOW, make_rules(alert_cooldown_ms=0, alert_ttl_ms=1_000))
    alerted.act(make_action("cart", 10_000, "a"))
    alerted.act(make_action("view", 0))
    for second in range(10_005, 10_050, 5):
        alerted.act(make_action("view", second))
    assert len(firings(alerted)) == 1
