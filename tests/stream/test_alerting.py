"""When alerts fire, what ends them, and that nothing but event time and state decides."""

import pytest

from alerted_visitor import DAY_S, RULES, AlertedVisitor, at, make_rules
from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState, OfferKind, Severity
from contracts.visitor import Session
from contracts.visitor_alerts import NO_ALERTS
from shoppers import NOW_MS, make_action
from stream.alerts.steps import on_actions

CHURN, ABANDONED = CHURN_RISK, CART_ABANDONED
FIRING, RESOLVED, EXPIRED = AlertState
HOUR_S = 3_600


def steps(alerts: list[Alert]) -> list[tuple[str, str, float]]:
    """Kind, state and seconds since the start of the test's time."""
    return [(a.kind, a.state.value, (a.at_ms - NOW_MS) / 1_000) for a in alerts]


def falling(session: Session) -> float:
    """0.5 at the first action of a session, 0.1 less with each further one."""
    return max(0.0, 0.6 - 0.1 * sum(session.counts))


def test_a_visitor_with_a_cart_whose_chance_falls_is_a_churn_risk_once() -> None:
    alerted = AlertedVisitor(falling)
    alerted.act(make_action("cart", 0, "a", price=7_000))
    for second in range(1, 8):
        alerted.act(make_action("view", second))
    (alert,) = alerted.alerts
    assert (alert.kind, alert.state, alert.at_ms) == (CHURN, FIRING, at(4))
    assert (alert.detail.purchase, alert.threshold, alert.model) == (0.1, 0.15, "m-1")
    assert alert.detail[3:6] == (
        1,
        7_000,
        "EUR",
    )
    assert alert.severity is Severity.MEDIUM
    assert alert.reasons == (), "the pauses were short: nothing true can be said of them"
    assert alert.detail.offer is not None
    assert (alert.detail.offer.kind, alert.detail.offer.names) == (OfferKind.CART, ("a",))


def test_a_high_chance_earlier_in_the_session_is_intent_too() -> None:
    alerted = AlertedVisitor(falling, make_rules(churn_needs_cart=False))
    for second in range(6):
        alerted.act(make_action("view", second))
    assert steps(alerted.alerts) == [("churn_risk", "firing", 4)]
    assert alerted.alerts[0].severity is Severity.LOW


def test_nobody_is_told_of_an_empty_cart_unless_wanted() -> None:
    alerted = AlertedVisitor(falling)
    for second in range(6):
        alerted.act(make_action("view", second))
    alerted.act(make_action("cart", 7, "a"))
    alerted.act(make_action("remove_from_cart", 8, "a"))
    alerted.pass_time(at(DAY_S))
    assert [alert.detail.cart_lines for alert in alerted.alerts if alert.state is FIRING] == [1]


def test_a_visitor_without_intent_is_no_risk() -> None:
    alerted = AlertedVisitor(lambda _: 0.01)
    for second in range(6):
        alerted.act(make_action("view", second))
    assert not alerted.alerts
    assert alerted.alert_state == NO_ALERTS


def test_a_purchase_resolves_every_open_alert() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("cart", 0, "a"))
    alerted.pass_time(at(1_000))
    alerted.act(make_action("purchase", 1_100, "a"))
    assert steps(alerted.alerts) == [
        ("churn_risk", "firing", 0),
        ("cart_abandoned", "firing", 900),
        ("churn_risk", "resolved", 1_100),
        ("cart_abandoned", "resolved", 1_100),
    ]
    assert len({alert.alert_id for alert in alerted.alerts}) == 2


def test_nobody_who_bought_in_the_session_is_a_risk_or_left_a_cart() -> None:
    alerted = AlertedVisitor(lambda _: 0.01)
    alerted.act(make_action("cart", 0, "a"), make_action("cart", 1, "b"), make_action("purchase", 2, "a"))
    alerted.pass_time(at(DAY_S))
    assert not alerted.alerts


def test_a_churn_risk_expires_with_the_session() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("cart", 0, "a"))
    alerted.pass_time(at(1_800))
    assert ("churn_risk", "expired", 1_800) not in steps(alerted.alerts)
    alerted.pass_time(at(1_800.001))
    assert ("churn_risk", "expired", 1_800) in steps(alerted.alerts)


def test_a_churn_risk_of_a_silent_visitor_ends_with_the_session_too() -> None:
    alerted = AlertedVisitor(lambda _: 0.16)
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("view", 1_801))
    ends = [step for step in steps(alerted.alerts) if step[0] == "churn_risk"]
    assert ends[:2] == [("churn_risk", "firing", 180), ("churn_risk", "expired", 1_800)]


def test_a_cart_left_while_an_alert_was_open_is_not_made_up_for_once_it_has_ended() -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("cart", 2 * HOUR_S, "b"))  # left again while the first alert is open
    alerted.pass_time(at(3 * DAY_S))
    assert steps(alerted.alerts) == [
        ("cart_abandoned", "firing", 900),
        ("cart_abandoned", "expired", 900 + DAY_S),
    ]


def test_a_churn_risk_expires_in_a_session_that_does_not_end() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("cart", 0, "a"))
    for minute in range(10, 140, 10):
        alerted.act(make_action("view", minute * 60))
    assert steps(alerted.alerts) == [("churn_risk", "firing", 0), ("churn_risk", "expired", 7_200)]


def test_it_fires_again_only_after_the_chance_was_up_and_the_cool_down_is_over() -> None:
    chance = iter([0.1, 0.2, 0.1, 0.3, 0.1])
    alerted = AlertedVisitor(lambda _: next(chance), make_rules(alert_ttl_ms=5_000, alert_cooldown_ms=25_000))
    for second in (0, 10, 20, 30, 40):  # 20: not up yet; 40: the cool-down ended at 25
        alerted.act(make_action("cart", second, "a"))
    assert steps([a for a in alerted.alerts if a.state is FIRING]) == [
        ("churn_risk", "firing", 0),
        ("churn_risk", "firing", 40),
    ]
    assert [a.episode for a in alerted.alerts if a.state is FIRING] == [1, 2]


def test_a_cool_down_outlives_the_session() -> None:
    alerted = AlertedVisitor(lambda _: 0.05, make_rules(alert_cooldown_ms=2 * HOUR_S * 1_000))
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("view", HOUR_S))
    assert [a.detail.session for a in alerted.alerts if a.kind == CHURN and a.state is FIRING] == [1]
    alerted.act(make_action("view", 3 * HOUR_S))
    assert [a.detail.session for a in alerted.alerts if a.kind == CHURN and a.state is FIRING] == [1, 3]


def test_silence_lowers_the_chance_and_fires_without_a_model_call() -> None:
    alerted = AlertedVisitor(lambda _: 0.16)
    alerted.act(make_action("cart", 0, "a"))
    assert alerted.next_ms == at(180)
    assert not alerted.pass_time(at(180))
    (alert,) = alerted.pass_time(at(180.001))
    assert steps([alert]) == [("churn_risk", "firing", 180)]
    assert alert.reasons[0] == "no action for more than 3 minutes"
    assert alert.detail.purchase is not None
    assert alert.detail.purchase < 0.15


def test_a_silence_is_looked_at_once_and_a_good_chance_survives_it() -> None:
    alerted = AlertedVisitor(lambda _: 0.6)
    alerted.act(make_action("cart", 0, "a"))
    assert not alerted.pass_time(at(181))
    assert alerted.next_ms == at(900)


def test_the_deadlines_of_a_visitor_come_one_after_the_other_and_end() -> None:
    alerted = AlertedVisitor(lambda _: 0.2)
    alerted.act(make_action("cart", 0, "a"))
    seen = []
    while (due_ms := alerted.next_ms) is not None:
        seen.append((due_ms - NOW_MS) // 1_000)
        alerted.pass_time(due_ms + 1)
    assert seen == [180, 900, 1_800, 900 + DAY_S]
    assert alerted.alert_state.open == ()


def test_a_visitor_with_nothing_at_stake_has_only_the_end_of_the_session_to_wait_for() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("view", 0))
    assert alerted.next_ms == at(1_800)
    alerted.pass_time(at(1_801))
    assert alerted.next_ms is None


def test_a_cart_left_behind_is_abandoned_without_any_model() -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("cart", 0, "a", quantity=2, price=1_050), make_action("cart", 5, "b", price=None))
    (alert,) = alerted.pass_time(at(1_000))
    assert steps([alert]) == [("cart_abandoned", "firing", 905)]
    assert (alert.detail.purchase, alert.threshold, alert.model) == (None, None, None)
    assert alert.reasons == ("no action for more than 15 minutes", "2 products worth 21.00 EUR in the cart")


def test_a_cart_that_was_emptied_or_not_touched_in_this_session_is_not_abandoned() -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("cart", 0, "a"), make_action("remove_from_cart", 9, "a"))
    alerted.pass_time(at(2 * HOUR_S))
    assert not alerted.alerts
    alerted.act(make_action("cart", 3 * HOUR_S, "a"))
    alerted.act(make_action("purchase", 3 * HOUR_S + 1, "b"))
    alerted.act(make_action("view", 6 * HOUR_S))
    alerted.pass_time(at(9 * HOUR_S))
    assert not alerted.alerts


@pytest.mark.parametrize(("bought_s", "state"), [(900 + DAY_S, RESOLVED), (900 + DAY_S + 1, EXPIRED)])
def test_an_abandoned_cart_is_recovered_by_a_purchase_within_a_day(bought_s: int, state: AlertState) -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("purchase", bought_s, "z"))
    assert [alert.state for alert in alerted.alerts] == [FIRING, state]
    assert alerted.alerts[-1].at_ms == at(900 + DAY_S)


def test_a_late_purchase_resolves_but_not_one_of_an_earlier_session() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("view", 0))
    alerted.act(make_action("cart", 2 * HOUR_S, "a"))
    alerted.act(make_action("view", 2 * HOUR_S + 60))
    alerted.act(make_action("purchase", 1, "a"))
    assert alerted.alert_state.open
    alerted.act(make_action("purchase", 2 * HOUR_S + 1, "a"))
    assert steps(alerted.alerts)[-1] == ("churn_risk", "resolved", 2 * HOUR_S + 1)
    assert not alerted.alert_state.open


def test_a_late_purchase_from_before_the_firing_closes_at_the_firing() -> None:
    chance = iter([0.5, 0.05, 0.05])
    alerted = AlertedVisitor(lambda _: next(chance))
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("view", 60))
    alerted.act(make_action("purchase", 30, "a"))
    assert steps(alerted.alerts) == [("churn_risk", "firing", 60), ("churn_risk", "resolved", 60)]


def test_a_replay_records_the_same_alerts_but_none_of_them_is_live() -> None:
    live, replayed = AlertedVisitor(falling), AlertedVisitor(falling)
    for second in (0, 1, 2, 3, 4, 5, HOUR_S):
        live.act(make_action("cart", second, "a"))
        replayed.act(make_action("cart", second, "a"), live=False)
    live.pass_time(at(2 * DAY_S))
    replayed.pass_time(at(2 * DAY_S))
    assert len(live.alerts) == 4
    assert all(alert.live for alert in live.alerts)
    assert replayed.alerts == [alert._replace(live=False) for alert in live.alerts]


def test_what_follows_from_a_very_late_action_is_recorded_only_though_others_are_live() -> None:
    actions = [make_action("cart", 0, "a"), make_action("view", 1_000), make_action("view", 1_200)]
    stale = {actions[0].digest}
    alert_state, alerts = on_actions(NO_ALERTS, "u1", None, actions, None, RULES, stale=stale)
    assert [(alert.kind, alert.live) for alert in alerts] == [(ABANDONED, False)]
    assert alert_state.live


def test_the_end_of_an_alert_is_as_live_as_its_firing() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("cart", 0, "a"), live=False)
    alerted.act(make_action("purchase", 9, "a"))
    assert [(a.state, a.live) for a in alerted.alerts] == [(FIRING, False), (RESOLVED, False)]


def test_sessions_that_late_events_join_make_no_id_twice() -> None:
    alerted = AlertedVisitor(lambda _: 0.05, make_rules(alert_cooldown_ms=0))
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("cart", 3_000, "a"))
    alerted.act(make_action("view", 1_500))  # two sessions become one
    assert alerted.visitor is not None
    assert alerted.visitor.head.number == 1
    alerted.act(make_action("cart", 9_000, "a"))
    firing = [alert.alert_id for alert in alerted.alerts if alert.state is FIRING]
    assert len(firing) == len(set(firing)) >= 3


@pytest.mark.parametrize(
    ("prices", "severity"),
    [
        ([4_999], Severity.LOW), ([5_000], Severity.MEDIUM), ([19_999, 1], Severity.HIGH),
        ([None], Severity.LOW), ([None] * 2, Severity.MEDIUM), ([None] * 5, Severity.HIGH),
    ],
)  # fmt: skip
def test_severity_is_by_value_or_else_by_number_of_products(
    prices: list[int | None], severity: Severity
) -> None:
    alerted = AlertedVisitor()
    alerted.act(*[make_action("cart", i, f"p{i}", price=price) for i, price in enumerate(prices)])
    assert alerted.pass_time(at(1_000))[0].severity is severity


def test_a_cart_in_another_currency_is_weighed_by_its_products() -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("cart", 0, "a", price=90_000)._replace(currency="JPY"))
    (alert,) = alerted.pass_time(at(1_000))
    assert (alert.severity, alert.detail.cart_value_minor, alert.detail.currency) == (
        Severity.LOW,
        90_000,
        "JPY",
    )


def test_actions_with_nothing_at_stake_leave_the_book_as_it_is() -> None:
    actions = [make_action("view", 0), make_action("favorite", 1), make_action("purchase", 2)]
    assert on_actions(NO_ALERTS, "u1", None, actions, None, RULES) == (NO_ALERTS, [])
