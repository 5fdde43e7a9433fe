"""What `storepulse chaos` says of scores and churn alerts, and when it fails for them."""

import io
from dataclasses import replace
from typing import Any

import orjson
import pytest
from rich.console import Console

from ops.audit import AlertAudit, ChurnAudit
from ops.chaos.campaign import Campaign, Plan
from ops.chaos.report import show, summary
from ops.chaos.run_audit import RunAudit

CHURN = ChurnAudit(
    fired=1_200, replayed=1_190, required=180, scores=5_271, scored=16_556, skipped=44, worthy=310,
    exempt={"firings made before the price level settled": 10},
)  # fmt: skip


def campaign_of(churn: ChurnAudit) -> Campaign:
    alerts = AlertAudit(
        fired=5_000, lost=churn.lost, doubled=churn.invented, differences=[*churn.wrong], churn=churn
    )
    campaign = Campaign(Plan(minutes=1, seed=1))
    campaign.audit = RunAudit(
        10, 10, 0, 0, 10, 10, 0, 0, 3, 7, alerts.differences, alerts,
        left_out={"other": 1_020, "superseded": 9},
    )  # fmt: skip
    return campaign


def shown(campaign: Campaign) -> str:
    text = io.StringIO()
    show(campaign, Console(file=text, width=160))
    return text.getvalue()


def test_the_verdict_says_what_was_scored_checked_and_left_out() -> None:
    text = shown(campaign_of(CHURN))
    assert "1,200 fired; scored again 1,190 are right, 0 invented" in text
    assert "180 had to be there whatever the batches were, 0 lost" in text
    assert "16,556 made, 44 skipped" in text
    assert "5,271 as replayed, 0 not" in text
    assert "10 firings made before the price level settled" in text
    assert "310 with a cart or intent after the last fault, 0 unscored" in text
    assert "1,020 other, 9 superseded" in text
    assert "PASSED" in text


@pytest.mark.parametrize("number", ["lost", "invented"])
def test_a_churn_alert_that_is_lost_or_invented_fails_the_run(number: str) -> None:
    change: dict[str, Any] = {number: 1, "wrong": {"churn alerts": ["1 of them"]}}
    campaign = campaign_of(replace(CHURN, **change))
    assert not campaign.passed
    assert "FAILED: 1 difference" in shown(campaign)


def test_the_outcome_as_json_has_every_number() -> None:
    plain = orjson.loads(orjson.dumps(summary(campaign_of(CHURN))))
    churn = plain["alerts"]["churn"]
    assert churn["replayed"] == 1_190
    assert churn["exempt"] == {"firings made before the price level settled": 10}
