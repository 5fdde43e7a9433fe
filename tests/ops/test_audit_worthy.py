"""Visitors with a cart or intent may wait for a score, but a campaign fails if they never get one."""

import pytest

from contracts.alerts import CHURN_RISK
from contracts.predictions import Predictions
from contracts.scores import Score
from ops.audit import ChurnAlertRules
from ops.audit.abandoned import SentEvent
from ops.audit.churn_replay import ScoreRecords, audit_churn
from ops.audit.worthy import check_worthy
from scored_shop import SETTINGS
from shoppers import NOW_MS

VIEW, CART, PURCHASE = 0, 2, 4
RULES = ChurnAlertRules.of(SETTINGS)
CALM_FROM_MS = NOW_MS - 10_000


def sent_event(rank: int, at_ms: int, *, delay_ms: int = 10) -> SentEvent:
    tie = f"{at_ms}".encode()
    return SentEvent(NOW_MS + at_ms, rank, tie, "p1", 1, 100, "EUR", NOW_MS + at_ms + delay_ms)


def scored_at(at_ms: int, purchase: float = 0.1) -> Predictions:
    return Predictions(score=Score("m", NOW_MS + at_ms, 1, 1, (0.2,) * 5, purchase))


def with_intent(start_ms: int) -> Predictions:
    known = scored_at(start_ms)
    alerts = known.alert_state
    kept = alerts.of(CHURN_RISK)._replace(intent=True)
    return known._replace(
        alert_state=alerts._replace(session_start_ms=NOW_MS + start_ms, kinds={CHURN_RISK: kept})
    )


VISIT = [sent_event(VIEW, -1_000), sent_event(VIEW, -500)]
WITH_CART = [sent_event(VIEW, -1_000), sent_event(CART, -500)]


@pytest.mark.parametrize(
    ("visit", "known", "found"),
    [
        (WITH_CART, scored_at(-500), (1, [])),
        (WITH_CART, scored_at(-1_000), (1, ["u1"])),
        (WITH_CART, Predictions(), (1, ["u1"])),
        (VISIT, scored_at(-1_000), (0, [])),
        (VISIT, scored_at(-1_000, purchase=RULES.intent), (1, ["u1"])),
        (VISIT, with_intent(-1_000), (1, ["u1"])),
        ([*WITH_CART, sent_event(PURCHASE, -400)], Predictions(), (0, [])),
    ],
)
def test_a_cart_or_intent_asks_for_a_score_of_the_last_action(
    visit: list[SentEvent], known: Predictions, found: tuple[int, list[str]]
) -> None:
    assert check_worthy({"u1": known}, {"u1": visit}, RULES, CALM_FROM_MS) == found


def test_visitors_of_before_the_calm_and_those_too_late_for_a_look_are_not_asked_about() -> None:
    late_ms = RULES.look_again_ms + RULES.disorder_ms
    visits = {"early": WITH_CART, "late": [sent_event(CART, -500, delay_ms=late_ms)]}
    assert check_worthy({}, visits, RULES, NOW_MS) == (0, [])


def test_who_stays_without_a_score_is_what_is_wrong() -> None:
    audit = audit_churn(ScoreRecords([], [], {}, None, CALM_FROM_MS), {"u1": WITH_CART}, None, RULES)
    assert (audit.worthy, audit.unscored) == (1, 1)
    assert audit.wrong["visitors with a cart or intent stayed without a score"] == ["u1"]
    assert audit_churn(ScoreRecords([], [], {}), {"u1": WITH_CART}, None, RULES).wrong == {}
