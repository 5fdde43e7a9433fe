"""Whether acting on an alert of the demo was worth it, by what its simulated visitor did."""

import pytest

from alert_makers import AT_MS, CHURN, change_alert
from contracts.alerts import CART_ABANDONED, CHURN_RISK, FLAT_KINDS
from contracts.events import EventType
from contracts.settings import Settings
from contracts.visitor import Action
from ops.learning.demo_alerts import is_actionable, judge_demo

IDLE_MS, WITHIN_MS = 1_800_000, 1_800_000


def act(event_type: EventType, minute: float) -> Action:
    """An action so many minutes after the alert."""
    at_ms = AT_MS + round(minute * 60_000)
    return Action(at_ms, event_type.rank, b"%d" % at_ms, "p1", 1, 1_000, "EUR", None, None, None)


@pytest.mark.parametrize(
    ("kind", "later", "expected"),
    [
        (CART_ABANDONED, [], True),
        (CART_ABANDONED, [act(EventType.VIEW, 5)], True),
        (CART_ABANDONED, [act(EventType.PURCHASE, 30)], False),
        (CART_ABANDONED, [act(EventType.PURCHASE, 30.1)], True),
        (CHURN_RISK, [], True),
        (CHURN_RISK, [act(EventType.PURCHASE, 26)], False),
        (CHURN_RISK, [act(EventType.VIEW, 20), act(EventType.PURCHASE, 45)], False),
        (CHURN_RISK, [act(EventType.PURCHASE, 26.1)], True),
    ],
)
def test_an_alert_is_worth_acting_on_unless_its_visitor_buys_anyway(
    kind: str, later: list[Action], expected: bool
) -> None:
    actions = [act(EventType.PURCHASE, -60), act(EventType.CART, -4), *later]
    alert = change_alert(CHURN, kind=kind)
    assert is_actionable(alert, actions, idle_ms=IDLE_MS, within_ms=WITHIN_MS) is expected
    empty = change_alert(alert, cart_lines=0)
    assert not is_actionable(empty, actions, idle_ms=IDLE_MS, within_ms=WITHIN_MS)


@pytest.mark.slow
def test_the_alerts_of_the_minutes_asked_for_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.learning.demo_alerts.HISTORY_MIN", 5)
    settings = Settings(idle_ms=600_000, cart_idle_ms=300_000)
    trial = judge_demo(5, 5, seed=1, model=None, settings=settings)
    assert {kind for kind, _ in trial.fired} <= set(FLAT_KINDS)
    assert 0 < trial.actionable.total() < trial.fired.total()
    assert all(trial.actionable[group] <= fired for group, fired in trial.fired.items())
