"""Alerts belong to a session, whatever number late events give it."""

from alert_desk import Desk, at, make_rules
from contracts.alerts import Alert, AlertState
from shoppers import make_action

HIGH, MIDDLING, LOW = 0.9, 0.3, 0.01


def firings(desk: Desk) -> list[Alert]:
    return [alert for alert in desk.alerts if alert.state is AlertState.FIRING]


def test_intent_ends_with_its_session_though_a_late_event_joined_it_with_the_one_before() -> None:
    chances = {at(0): MIDDLING, at(3_000): HIGH, at(9_000): LOW}
    desk = Desk(lambda session: chances[session.start_ms])
    desk.act(make_action("view", 0))
    desk.act(make_action("view", 3_000))
    desk.act(make_action("view", 1_500))  # two sessions become one, the first
    desk.act(make_action("view", 9_000))
    assert desk.visitor is not None
    assert desk.visitor.head.number == 2
    assert not desk.alerts


def test_a_session_that_late_events_join_arms_the_next_one() -> None:
    desk = Desk(lambda _: LOW, make_rules(alert_cooldown_ms=0))
    desk.act(make_action("cart", 0, "a"))
    desk.act(make_action("cart", 3_000, "a"))
    desk.act(make_action("view", 1_500))
    desk.act(make_action("cart", 9_000, "a"))
    *before, risk = firings(desk)
    assert risk.detail.session_start_ms == at(9_000)
    assert risk.alert_id not in {alert.alert_id for alert in before}


def test_a_session_remembers_its_intent_though_a_late_event_made_one_before_it() -> None:
    desk = Desk(lambda session: HIGH if session.number == 1 else LOW)
    desk.act(make_action("view", 10_000))
    desk.act(make_action("view", 0))  # the session is the second now
    desk.act(make_action("view", 10_001))
    (alert,) = desk.alerts
    assert (alert.detail.session, alert.detail.session_start_ms) == (2, at(10_000))


def test_a_session_stays_disarmed_though_a_late_event_made_one_before_it() -> None:
    desk = Desk(lambda _: LOW, make_rules(alert_cooldown_ms=0, alert_ttl_ms=1_000))
    desk.act(make_action("cart", 10_000, "a"))
    desk.act(make_action("view", 0))
    for second in range(10_005, 10_050, 5):
        desk.act(make_action("view", second))
    assert len(firings(desk)) == 1
