"""Judging alerts on held-back sessions: which count, which carts they reach, what one kind adds."""

from contracts.alerts import CART_ABANDONED, CHURN_RISK
from models.next_action.predictor import load_shipped
from models.next_action.prefixes import actions_by_visitor, prefixes_of_visitors
from ops.learning.alert_evaluation import (
    ADDED,
    EITHER,
    NEVER_MS,
    AlertTrial,
    Fired,
    Session,
    held_back_sessions,
    judge_alerts,
    score_visitors,
)
from shoppers import NOW_MS, make_event
from stream.visitors.session import SessionSettings

IDLE_MS = 1_800_000


def lost(number: int, last_s: int = 600) -> Session:
    return Session("u", number, 0, last_s * 1_000, has_cart=True, bought_ms=NEVER_MS)


def judge(sessions: list[Session], *fired: Fired) -> dict[str, AlertTrial]:
    return {trial.name: trial for trial in judge_alerts(sessions, fired, 0.15, IDLE_MS)}


def test_alerts_in_sessions_without_a_cart_count() -> None:
    browsing = Session("u", 1, 0, 600_000, has_cart=False, bought_ms=NEVER_MS)
    buying = Session("u", 2, 0, 600_000, has_cart=False, bought_ms=500_000)
    fired = [Fired(browsing, CHURN_RISK, 100_000), Fired(browsing, CHURN_RISK, 300_000)]
    fired += [Fired(buying, CHURN_RISK, 400_000), Fired(buying, CHURN_RISK, 550_000)]
    trial = judge([browsing, buying, lost(3)], *fired)[CHURN_RISK]
    assert (trial.alerts, trial.outside, trial.right) == (4, 4, 0.75)
    assert (trial.sessions, trial.lost, trial.alerted) == (1, 1, 0)


def test_only_what_silence_does_not_reach_in_time_is_added() -> None:
    sessions = [lost(number) for number in range(4)]
    trials = judge(
        sessions,
        Fired(sessions[0], CHURN_RISK, 60_000),
        Fired(sessions[1], CHURN_RISK, 60_000), Fired(sessions[1], CART_ABANDONED, 1_500_000),
        Fired(sessions[2], CART_ABANDONED, 1_500_000), Fired(sessions[2], CHURN_RISK, 1_600_000),
    )  # fmt: skip
    assert trials[CHURN_RISK].reached == 0.75
    assert trials[CART_ABANDONED].reached == 0.5
    assert trials[EITHER].reached == 0.75
    assert trials[ADDED].reached == 0.25
    assert trials[ADDED].alerts == 2
    assert (trials[CHURN_RISK].reached_acting, trials[ADDED].reached_acting) == (0.5, 0.5)
    assert trials[CART_ABANDONED].reached_acting == 0


def test_a_session_that_may_go_on_at_the_end_is_not_judged() -> None:
    events = [
        make_event("view", 0, user="a"),
        make_event("cart", 10, user="a"),
        make_event("view", 20, user="b"),
        make_event("purchase", 30, user="b"),
        make_event("view", 1_900, user="c"),
    ]
    by_visitor = actions_by_visitor(events)
    cases = prefixes_of_visitors(by_visitor.values(), idle_ms=IDLE_MS)
    scored = score_visitors(by_visitor, cases, load_shipped(), SessionSettings(IDLE_MS, 10_000))
    sessions = held_back_sessions(scored, cases, from_ms=0)
    assert sessions == [
        Session("a", 1, NOW_MS, NOW_MS + 10_000, True, NEVER_MS),
        Session("b", 1, NOW_MS + 20_000, NOW_MS + 30_000, False, NOW_MS + 30_000),
    ]
