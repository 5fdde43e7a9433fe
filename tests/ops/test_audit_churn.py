"""The replay of churn alerts: silent about a right log whatever the batches were, loud about a wrong one."""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pytest

from alert_makers import change_alert
from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState
from models.next_action.model import Model
from models.next_action.predictor import load, load_shipped
from ops.audit import ScoreReplay
from ops.audit.churn_replay import NOT_SCORED
from scored_shop import SETTINGS, ScoredShop, Sent, audit, make_traffic, open_replay_of
from shoppers import NOW_MS
from stub_model import write_model

pytestmark = pytest.mark.slow

SETTLED_MS = NOW_MS + 20_000
"""By then the price level is known well enough to score by it."""


@lru_cache(maxsize=1)
def shipped() -> Model:
    return load_shipped()


@lru_cache(maxsize=1)
def a_day() -> tuple[ScoredShop, list[Sent], ScoreReplay]:
    """A shop after some traffic, the traffic, and the replay of its scores."""
    return run(seed=7)


def run(seed: int, *, skip: float = 0.0) -> tuple[ScoredShop, list[Sent], ScoreReplay]:
    sent = make_traffic(seed)
    shop = ScoredShop(shipped(), skip=skip)
    shop.run(sent, random.Random(seed + 2))
    return shop, sent, open_replay_of(sent, shipped())


@pytest.mark.parametrize("seed", [10, 27])  # a session with intent is joined, and another gets its number
def test_a_right_log_is_right_where_late_events_join_sessions(seed: int, tmp_path: Path) -> None:
    write_model(tmp_path / "model")  # its chances swing: intent comes and goes with every action
    model = load(tmp_path / "model")
    sent = make_traffic(seed, active=80, spread_ms=1_000)
    shop = ScoredShop(model)
    shop.run(sent, random.Random(seed))
    audited = audit(shop, sent, shop.alerts, open_replay_of(sent, model))
    assert audited.churn.wrong == {}
    assert audited.differences == []
    assert (audited.lost, audited.doubled) == (0, 0)
    assert audited.churn.replayed > 300


def firings_of(alerts: Sequence[Alert]) -> list[Alert]:
    return [a for a in alerts if a.kind == CHURN_RISK and a.state is AlertState.FIRING]


@pytest.mark.parametrize("seed", range(8))
def test_a_right_log_is_right_whatever_the_batches_were(seed: int) -> None:
    shop, sent, replay = run(seed)
    audited = audit(shop, sent, shop.alerts, replay)
    churn = audited.churn
    assert churn.wrong == {}
    assert audited.differences == []
    assert (audited.lost, audited.doubled) == (0, 0)
    assert churn.fired == len(firings_of(shop.alerts)) > 40
    assert churn.replayed > 0.8 * churn.fired
    assert churn.required > 1
    assert churn.scores > 100
    assert (churn.scored, churn.skipped) == (shop.counters["scored"], 0)


@pytest.mark.parametrize("seed", range(3))
def test_visitors_who_were_skipped_are_counted_and_nothing_is_asked_of_them(seed: int) -> None:
    shop, sent, replay = run(seed, skip=0.5)
    churn = audit(shop, sent, shop.alerts, replay).churn
    assert churn.wrong == {}
    assert churn.skipped == shop.counters["skipped"] > 0
    assert churn.exempt[f"visitors {NOT_SCORED}"] > 5
    assert churn.exempt[f"carts {NOT_SCORED}"] > 5


def test_a_visitor_without_a_score_is_missed_where_nobody_was_skipped() -> None:
    shop, sent, replay = run(0, skip=0.5)
    shop.counters["skipped"] = 0
    (what,) = audit(shop, sent, shop.alerts, replay).churn.wrong
    assert what == "visitors without a score, while 0 were skipped"


def test_alerts_are_missed_one_by_one_when_they_are_gone() -> None:
    shop, sent, _ = a_day()
    firings = firings_of(shop.alerts)
    noticed = 0
    for gone in firings:
        left = [alert for alert in shop.alerts if alert.alert_id != gone.alert_id]
        lost = audit(shop, sent, left, None).churn.lost
        assert lost <= 1
        noticed += lost
    assert noticed > 0.15 * len(firings), "of the others nobody can say that a score was made there"


def test_a_required_alert_that_is_gone_is_lost() -> None:
    shop, sent, replay = a_day()
    gone = next(
        alert
        for alert in firings_of(shop.alerts)
        if audit(shop, sent, [a for a in shop.alerts if a.alert_id != alert.alert_id], None).churn.lost
    )
    audited = audit(shop, sent, [a for a in shop.alerts if a.alert_id != gone.alert_id], replay)
    assert audited.churn.lost == 1
    assert audited.churn.invented == 0
    assert any(
        str(gone.user_id) in name for name in audited.churn.wrong["churn alerts that must be there are not"]
    )
    assert any("churn alerts that must be there are not" in line for line in audited.differences)
    assert audited.lost >= 1


def test_every_required_alert_is_lost_when_all_are_gone() -> None:
    shop, sent, _ = a_day()
    there = audit(shop, sent, shop.alerts, None).churn
    left = [alert for alert in shop.alerts if alert.kind != CHURN_RISK]
    gone = audit(shop, sent, left, None).churn
    assert there.lost == 0
    assert gone.lost == gone.required >= there.required > 10


@pytest.mark.parametrize(
    "spoil",
    [
        lambda alert: change_alert(alert, purchase=alert.detail.purchase + 0.03),
        lambda alert: change_alert(alert, purchase=SETTINGS.churn_fire + 0.1),
        lambda alert: change_alert(alert, purchase=SETTINGS.churn_fire + 0.1, threshold=0.9),
        lambda alert: change_alert(alert, cart_lines=alert.detail.cart_lines + 1),
        lambda alert: change_alert(alert, at_ms=alert.at_ms + 1, fired_ms=alert.fired_ms + 1),
        lambda alert: change_alert(alert, session_start_ms=alert.detail.session_start_ms + 1),
    ],
    ids=[
        "another chance",
        "a high chance",
        "another threshold",
        "another cart",
        "no action",
        "another session",
    ],
)
def test_an_alert_that_the_visitor_gave_no_cause_for_is_invented(spoil: Callable[[Alert], Alert]) -> None:
    shop, sent, replay = a_day()
    right = audit(shop, sent, shop.alerts, replay).churn
    firings = [a for a in firings_of(shop.alerts) if a.fired_ms > SETTLED_MS]
    chosen = next(a for a in firings if a.detail.purchase and a.detail.purchase < SETTINGS.churn_fire - 0.1)
    alerts = [spoil(alert) if alert is chosen else alert for alert in shop.alerts]
    audited = audit(shop, sent, alerts, replay)
    assert audited.churn.invented == 1
    assert audited.churn.replayed == right.replayed - 1
    (name,) = audited.churn.wrong["churn alerts that the replay does not know"]
    assert chosen.alert_id in name
    assert audited.doubled >= 1


def test_an_alert_at_an_action_that_had_another_chance_is_invented() -> None:
    shop, sent, replay = a_day()
    warned = {alert.user_id for alert in firings_of(shop.alerts)}
    chosen = next(
        alert
        for alert in shop.alerts
        if alert.kind == CART_ABANDONED
        and alert.user_id not in warned  # an alert of theirs would come too soon after the one that is added
        and alert.state is AlertState.FIRING
        and alert.detail.purchase is not None
        and alert.detail.purchase > SETTINGS.churn_fire + 0.05
        and alert.fired_ms > SETTLED_MS
    )
    added = change_alert(
        chosen,
        alert_id="0" * 24,
        kind=CHURN_RISK,
        at_ms=chosen.fired_ms - SETTINGS.cart_idle_ms,
        fired_ms=chosen.fired_ms - SETTINGS.cart_idle_ms,
        purchase=SETTINGS.churn_fire - 0.05,
        threshold=SETTINGS.churn_fire,
    )
    audited = audit(shop, sent, [*shop.alerts, added], replay)
    assert audited.churn.invented == 1


def test_a_second_alert_right_after_the_first_is_invented() -> None:
    shop, sent, replay = a_day()
    firings = firings_of(shop.alerts)
    users = [alert.user_id for alert in firings]
    first = next(a for a in firings if users.count(a.user_id) == 1 and a.fired_ms > SETTLED_MS)
    second = first._replace(alert_id="0" * 24, episode=first.episode + 1)
    audited = audit(shop, sent, [*shop.alerts, second], replay)
    assert audited.churn.wrong["churn alerts that the replay does not know"] == [
        f"{second.record_id}: too soon after another one one"
    ]


def test_alerts_of_another_model_are_not_checked_and_counted() -> None:
    shop, sent, replay = a_day()
    alerts = [alert._replace(model="another") if alert.kind == CHURN_RISK else alert for alert in shop.alerts]
    churn = audit(shop, sent, alerts, replay).churn
    assert (churn.replayed, churn.invented) == (0, 0)
    assert churn.exempt["firings made by another model"] == churn.fired


def test_a_state_with_another_score_is_found() -> None:
    shop, sent, replay = run(2)
    user, visitor = next(
        (user, visitor)
        for user, visitor in shop.visitors.items()
        if visitor.predictions.score is not None
        and visitor.predictions.score.at_ms == visitor.head.last_ms > SETTLED_MS
    )
    score = visitor.predictions.score
    assert score is not None
    spoiled = visitor.predictions._replace(score=score._replace(purchase=abs(score.purchase - 0.2)))
    shop.visitors[user] = visitor._replace(predictions=spoiled)
    churn = audit(shop, sent, shop.alerts, replay).churn
    assert churn.unlike == 1
    (name,) = churn.wrong["chances that the replay does not know"]
    said, replayed = name.split(": replayed ")
    assert said == f"{user} at {abs(score.purchase - 0.2)}"
    low, high = (float(word) for word in replayed.split(" after ")[0].split(" to "))
    assert low <= score.purchase <= high
