"""A churn alert needs intent: something in the cart, even if it came too late to be scored."""

from dataclasses import replace

import pytest

from contracts.alerts import CHURN_RISK, Alert, AlertState, Severity, VisitorDetail
from contracts.scores import Score
from contracts.subjects import visitor
from models.silence import hear_silence
from ops.audit import ChurnAlertRules, ChurnAudit, ScoreReplay
from ops.audit.abandoned import SentEvent
from ops.audit.churn_replay import ScoreRecords, audit_churn
from ops.audit.price_track import PriceTrack
from rule_model import RuleModel
from scored_shop import SETTINGS
from shoppers import NOW_MS

VIEW, CART, PURCHASE = 0, 2, 4
RULES = replace(ChurnAlertRules.of(SETTINGS), intent=0.6, rearm=0.6)


def sent_event(rank: int, at_ms: int, *, arrived_ms: int) -> SentEvent:
    return SentEvent(NOW_MS + at_ms, rank, f"{at_ms}".encode(), "p1", 1, 100, "EUR", NOW_MS + arrived_ms)


LATE_CART = [
    sent_event(VIEW, -1_700, arrived_ms=-1_690),
    sent_event(CART, -1_150, arrived_ms=40),
    sent_event(VIEW, -1_000, arrived_ms=-900),
    sent_event(PURCHASE, 250, arrived_ms=580),
]
"""The views are scored; the cart comes with the purchase, and the silence between them is looked at then."""


def replay() -> ScoreReplay:
    track = PriceTrack([(NOW_MS - 60_000 + i, 100) for i in range(5_000)], batch_events=100)
    return ScoreReplay(
        RuleModel(),
        {0: track},
        partitions=1,
        idle_ms=RULES.idle_ms,
        silences_ms=[RULES.look_again_ms, RULES.cart_idle_ms],
    )


def alert(purchase: float, *, cart_lines: int) -> Alert:
    return Alert(
        "0" * 24, CHURN_RISK, AlertState.FIRING, Severity.LOW, visitor("u1"), 1, NOW_MS, NOW_MS, True,
        VisitorDetail(None, 1, NOW_MS - 1_700, cart_lines, None, None, purchase), "rules-1", RULES.fire,
    )  # fmt: skip


def judge(alert: Alert, sent_events: list[SentEvent]) -> ChurnAudit:
    return audit_churn(ScoreRecords([alert], [alert], {}), {"u1": sent_events}, replay(), RULES)


def chance_without_the_cart() -> float:
    """What the model says of two views, heard again after the silence."""
    leave = 1 - 0.9**2
    rest = 1 - leave
    leave += rest * 0.1
    score = Score("rules-1", 0, 2, 1, (1 - leave, 0.0, 0.0, 0.0, leave), 0.05)
    return hear_silence(score, RULES.look_again_ms).purchase


def test_a_cart_that_came_after_the_score_was_intent_all_the_same() -> None:
    audited = judge(alert(chance_without_the_cart(), cart_lines=1), LATE_CART)
    assert (audited.wrong, audited.replayed) == ({}, 1)


@pytest.mark.parametrize(
    "sent_events", [LATE_CART, [LATE_CART[0], *LATE_CART[2:]]], ids=["late cart", "no cart"]
)
def test_without_a_cart_some_chance_must_have_been_intent(sent_events: list[SentEvent]) -> None:
    audited = judge(alert(chance_without_the_cart(), cart_lines=0), sent_events)
    (name,) = audited.wrong["churn alerts that the replay does not know"]
    assert name.endswith("nothing in the cart and no chance was intent")
    assert (audited.replayed, audited.invented) == (0, 1)


def test_a_silence_in_which_something_came_in_time_was_none() -> None:
    sent_events = sorted([*LATE_CART, sent_event(VIEW, -500, arrived_ms=-490)])
    audited = judge(alert(chance_without_the_cart(), cart_lines=1), sent_events)
    assert audited.invented == 1
