"""`/v1/experiments`, from counters in a real Redis."""

from typing import Any

import httpx
import pytest

from contracts.clock import wall_clock_ms
from exposure_counts import count_shown
from models.exposures import ExposureMetric
from models.quality import Quality
from models.uplift import SQUARES_OF_MINOR, Arm, arm_counter
from shop_state import ShopState

DAY_MS = 86_400_000
HOLD_OUT = {"alert_hold_out": 0.2}


def count_arm(kind: str, arm: Arm, n: int, bought: int, minor: int, version: str = "m-1") -> dict[str, int]:
    """Counters of a group, of whom each buyer paid `minor`."""
    figures = {
        Quality.WATCHED: n,
        Quality.WATCHED_BOUGHT: bought,
        Quality.WATCHED_REVENUE: bought * minor,
        Quality.WATCHED_SQUARES: bought * minor**2 // SQUARES_OF_MINOR**2,
    }
    return {f"{arm_counter(name, kind, arm)}:{version}": number for name, number in figures.items()}


async def read(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/v1/experiments{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("settings", [HOLD_OUT], indirect=True)
async def test_both_groups_are_compared_over_partitions_days_and_versions(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    state.add_quality(0, now, count_arm("cart_abandoned", Arm.TOLD, 500, 90, 5_000))
    state.add_quality(1, now - 3 * DAY_MS, count_arm("cart_abandoned", Arm.TOLD, 300, 54, 5_000, "m-0"))
    state.add_quality(2, now, count_arm("cart_abandoned", Arm.HELD_OUT, 200, 20, 5_000))
    state.add_quality(2, now - 20 * DAY_MS, count_arm("cart_abandoned", Arm.HELD_OUT, 1_000, 900, 5_000))
    state.flush()
    found = await read(client, "?days=10")
    figures = found["alerts"]["cart_abandoned"]
    assert (found["hold_out"], found["days"], found["watch_s"]) == (0.2, 10, 86_400)
    assert figures["told"] == {"n": 800, "bought": 144, "share": 0.18, "revenue_minor": 900.0}
    assert figures["held_out"] == {"n": 200, "bought": 20, "share": 0.1, "revenue_minor": 500.0}
    assert figures["bought"]["value"] == pytest.approx(0.08)
    assert 0 < figures["bought"]["low"] < 0.08 < figures["bought"]["high"] < 0.14
    assert figures["revenue_minor"]["value"] == pytest.approx(400.0)
    assert figures["sample_ratio"]["is_plausible"] is True
    assert figures["missing"] == {}
    older = (await read(client, "?days=30"))["alerts"]["cart_abandoned"]
    assert older["held_out"]["n"] == 1_200
    assert older["sample_ratio"]["is_plausible"] is False  # a fifth was asked for


@pytest.mark.parametrize("settings", [HOLD_OUT], indirect=True)
async def test_figures_of_few_alerts_are_null_with_the_reason(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.add_quality(0, wall_clock_ms(), count_arm("churn_risk", Arm.TOLD, 500, 90, 5_000))
    state.add_quality(0, wall_clock_ms(), count_arm("churn_risk", Arm.HELD_OUT, 29, 3, 5_000))
    state.flush()
    figures = (await read(client))["alerts"]["churn_risk"]
    assert (figures["bought"], figures["revenue_minor"]) == (None, None)
    reason = "not enough data yet: 29 of at least 30 alerts of visitors who are held out"
    assert figures["missing"] == {"bought": reason, "revenue_minor": reason}


async def test_without_a_hold_out_the_answer_says_how_to_get_one(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.flush()
    figures = (await read(client))["alerts"]["churn_risk"]
    assert figures["missing"]["bought"] == "no visitor is held out: set STOREPULSE_ALERT_HOLD_OUT"
    assert figures["sample_ratio"] is None


@pytest.mark.parametrize(
    "settings",
    [{"recommendation_hold_out": 0.2, "recommendation_arms": "buyers=20%:0/0/1"}],
    indirect=True,
)
async def test_recommendations_are_compared_with_the_arm_that_is_held_out(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    clicks = {ExposureMetric.CLICKS: 120, ExposureMetric.CARTS: 9, ExposureMetric.REVENUE + "EUR": 60_000}
    state.add_exposures(0, now, count_shown("main", 400, 72, 5_000, **clicks))
    state.add_exposures(1, now - 3 * DAY_MS, count_shown("main", 200, 36, 5_000))
    state.add_exposures(2, now, count_shown("held_out", 200, 20, 5_000))
    state.add_exposures(2, now, count_shown("buyers", 29, 20, 5_000))
    state.flush()
    arms = (await read(client))["recommendations"]["for_you"]["arms"]
    main = arms["main"]
    assert (main["exposures"], main["clicks"], main["click_rate"], main["carts"]) == (1_200, 120, 0.1, 9)
    assert (main["revenue"][0]["amount"], main["revenue_per_exposure_minor"]) == ("600.00", 50.0)
    assert main["visitors"] == {"n": 600, "bought": 108, "share": 0.18, "revenue_minor": 900.0}
    assert main["bought"]["value"] == pytest.approx(0.08)
    assert main["revenue_minor"]["low"] < 400 < main["revenue_minor"]["high"]
    assert main["sample_ratio"]["expected_held_out"] == 0.25
    assert main["sample_ratio"]["is_plausible"] is True
    assert main["missing"] == {}
    assert arms["buyers"]["bought"] is None
    assert (
        arms["buyers"]["missing"]["bought"] == "not enough data yet: 29 of at least 30 visitors of this arm"
    )
    assert arms["buyers"]["sample_ratio"]["is_plausible"] is False, "the hold-out is as large as this arm"
    assert (arms["held_out"]["visitors"]["n"], arms["held_out"]["bought"]) == (200, None)


async def test_recommendations_without_a_hold_out_have_figures_but_no_difference(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.add_exposures(0, wall_clock_ms(), count_shown("main", 400, 72, 5_000))
    state.flush()
    main = (await read(client))["recommendations"]["for_you"]["arms"]["main"]
    assert (main["exposures"], main["bought"], main["sample_ratio"]) == (800, None, None)
    assert "STOREPULSE_RECOMMENDATION_HOLD_OUT" in main["missing"]["bought"]


@pytest.mark.parametrize("query", ["?days=0", "?days=366", "?days=many", "?day=3"])
async def test_bad_periods_are_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/experiments{query}")).status_code == 422
