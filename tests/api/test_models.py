"""`/v1/models`, and the model's part of readiness, against counters and heartbeats in a real Redis."""

import asyncio
from typing import Any

import httpx
import pytest

from api.resources.models.report import MODELS_AGE_S, judge_scoring
from api.resources.models.windows import say_early, settled_starts, window_starts
from contracts.clock import wall_clock_ms
from contracts.heartbeat import Heartbeat, SlotReport, from_hash
from models.drift import DriftState
from rule_model import GivenModel
from shop_state import ShopState

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
COUNTS = {
    "x00:m-1": 60, "x04:m-1": 20, "x44:m-1": 20, "l:m-1": 50_000_000,
    "kn6:m-1": 100, "kp6:m-1": 650_000, "ky6:m-1": 80,
    "bn1:m-1": 400, "bp1:m-1": 600_000, "by1:m-1": 100, "pl:m-1": 100_000_000, "pb:m-1": 40_000_000,
    "f0:m-1": 3, "r0:m-1": 1, "e0:m-1": 2, "t0:m-1": 600_000, "w0:m-1": 90_000, "h0.3:m-1": 2,
    "sl:m-1": 40, "sb:m-1": 10, "sa0:m-1": 20,
    "f1:-": 5, "e1:-": 1,
}  # fmt: skip


async def read(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/v1/models")
    assert answer.status_code == 200, answer.text
    fields: dict[str, Any] = answer.json()
    return fields


async def test_each_version_has_figures_over_both_windows(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    state.add_quality(0, now, COUNTS)
    state.add_quality(3, now, {"x00:m-1": 50})
    state.add_quality(1, now - 2 * HOUR_MS, {"x00:m-1": 100, "x00:m-0": 7})
    state.add_quality(1, now - 13 * HOUR_MS, {"x00:m-1": 1_000, "x00:m-0": 200})
    state.add_quality(1, now - 25 * HOUR_MS, {"x00:m-0": 1_000})
    cohort = {"f.churn_risk:m-1": 30, "cr.churn_risk:m-1": 10, "ce.churn_risk:m-1": 20}
    state.add_quality(2, now - 150 * MINUTE_MS, cohort)
    state.flush()
    found = await read(client)
    models = {model["version"]: model["windows"] for model in found["models"]}
    assert list(models) == ["m-1", "m-0", None, "rules-1"]
    hour, day = models["m-1"]["1h"], models["m-1"]["24h"]
    assert (hour["next_action"]["n"], day["next_action"]["n"]) == (150, 1_250)
    assert hour["next_action"]["accuracy"] == pytest.approx(130 / 150)
    assert hour["next_action"]["predicted"]["view"] == 130
    assert hour["next_action"]["reliability"] == [{"n": 100, "predicted": 0.65, "observed": 0.8}]
    assert hour["purchase"] == {
        "n": 400,
        "rate": 0.25,
        "log_loss": 0.25,
        "brier": 0.1,
        "ece": pytest.approx(0.1),
        "reliability": [{"n": 400, "predicted": 0.15, "observed": 0.25}],
        "missing": {},
    }
    churn = hour["alerts"]["churn_risk"]
    assert (churn["fired"], churn["precision"], churn["recall"]) == (3, pytest.approx(2 / 3), 0.5)
    assert (churn["base_rate"], churn["lead_mean_s"], churn["wait_mean_s"]) == (0.8, 300, 90)
    assert churn["missing"] == {}
    assert models["m-0"]["1h"]["next_action"]["accuracy"] is None
    assert models["m-0"]["24h"]["next_action"]["n"] == 207
    assert models[None]["1h"]["alerts"]["cart_abandoned"]["fired"] == 5
    assert found["together"]["24h"]["next_action"]["n"] == 1_457


async def test_figures_of_a_fresh_shop_are_null_with_the_reason(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    state.add_quality(0, now, COUNTS | {"f.cart_abandoned:m-1": 40, "r.cart_abandoned:m-1": 2})
    state.flush()
    found = (await read(client))["together"]
    for window in ("1h", "24h"):
        actions, purchase = found[window]["next_action"], found[window]["purchase"]
        assert (actions["n"], purchase["n"]) == (100, 400)
        names = ("accuracy", "macro_f1", "log_loss", "ece")
        assert [actions[name] for name in names] == [None] * 4
        assert [purchase[name] for name in ("rate", "log_loss", "brier", "ece")] == [None] * 4
        assert (actions["reliability"], purchase["reliability"]) == ([], [])
        assert actions["missing"].keys() == set(names)
        assert actions["missing"]["ece"].startswith("too early: no prediction was judged ")
        left = found[window]["alerts"]["cart_abandoned"]
        assert (left["fired"], left["precision"]) == (45, None)
        assert left["missing"]["precision"].startswith("no alert fired in the ")
        assert left["missing"]["precision"].endswith(
            "that ended 24 hours ago; newer ones may still be resolved"
        )


async def test_a_precision_waits_until_all_of_its_alerts_have_ended(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    fired_ms = wall_clock_ms() - 24 * HOUR_MS - 30 * MINUTE_MS
    state.add_quality(0, fired_ms, {"f.cart_abandoned:-": 30, "cr.cart_abandoned:-": 5})
    state.flush()
    left = (await read(client))["together"]["1h"]["alerts"]["cart_abandoned"]
    assert left["precision"] is None
    assert left["missing"]["precision"].startswith("25 of 30 alerts that fired in the hour ")
    state.add_quality(0, fired_ms, {"ce.cart_abandoned:-": 25})
    state.flush()
    await asyncio.sleep(MODELS_AGE_S)
    left = (await read(client))["together"]["1h"]["alerts"]["cart_abandoned"]
    assert left["precision"] == pytest.approx(25 / 30)
    assert "precision" not in left["missing"]


async def test_a_few_predictions_and_sessions_make_no_figures(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    state.add_quality(0, now, {"x00:m-1": 99, "bn1:m-1": 5, "sl:m-1": 3, "sb:m-1": 1})
    state.add_quality(0, now - 2 * HOUR_MS, {"x00:m-1": 1})
    state.flush()
    hour = (await read(client))["together"]["1h"]
    assert (
        hour["next_action"]["missing"]["accuracy"] == "too little data: 99 of at least 100 judged predictions"
    )
    assert hour["purchase"]["missing"]["ece"] == "too little data: 5 of at least 100 judged predictions"
    churn = hour["alerts"]["churn_risk"]
    assert (churn["recall"], churn["base_rate"]) == (None, None)
    assert churn["missing"]["recall"] == "too little data: 3 of at least 20 lost carts"


async def test_workers_tell_version_scoring_and_drift(
    client: httpx.AsyncClient, state: ShopState, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (
        DriftState("score", 0.12, 1_900, 2, 1_760_000_000_000).to_text(),
        DriftState("error", 0.4, 80, 0, 0).to_text(),
        "another version's line",
    )
    state.beat("w1", model="m-1", scoring="ok", scored=70, skipped=3, drift=lines)
    state.beat("w2")
    state.flush()
    found = await read(client)
    first, second = found["workers"]
    assert (first["worker_id"], first["model"], first["scored"], first["skipped"]) == ("w1", "m-1", 70, 3)
    assert first["drift"] == [
        {"name": "score", "mean": 0.12, "width": 1_900, "drifts": 2, "drifted_at": "2025-10-09T08:53:20Z"},
        {"name": "error", "mean": None, "width": 80, "drifts": 0, "drifted_at": None},
    ]
    assert "cannot read a worker's drift state" in caplog.text
    assert (second["model"], second["scoring"]) == (None, "off")
    assert found["scoring"] == {"status": "degraded", "detail": "w2: no model is loaded"}
    assert "m-1" in [model["version"] for model in found["models"]]


async def test_the_api_tells_its_own_model_and_card(client: httpx.AsyncClient) -> None:
    own = (await read(client))["api"]
    assert (own["version"], own["trouble"]) == ("rules-1", None)
    assert own["card"]["training"] == {"events": 1_000}
    assert own["card"]["metrics"] == {"log_loss": 0.5}


async def test_readiness_says_whether_visitors_are_scored(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.beat("w1", model="m-1", scoring="ok")
    state.flush()
    part = (await client.get("/readyz")).json()["parts"]["model"]
    assert part == {"status": "ok", "detail": "visitors are scored by m-1"}
    state.beat("w1", model="m-1", scoring="the model takes longer than 0.5 s")
    state.flush()
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["parts"]["model"] == {
        "status": "degraded",
        "detail": "w1: the model takes longer than 0.5 s",
    }


class TestWithoutModel:
    """No artefact can be loaded."""

    @pytest.fixture
    def source(self) -> GivenModel:
        return GivenModel(error=ValueError("golden outputs differ"))

    async def test_the_api_says_why_it_has_none(self, client: httpx.AsyncClient, state: ShopState) -> None:
        state.beat("w1", model="m-1", scoring="ok")
        state.flush()
        found = await read(client)
        assert found["api"] == {"version": None, "trouble": "golden outputs differ", "card": None}
        assert found["scoring"] == {"status": "degraded", "detail": "API: golden outputs differ"}


def beat(worker_id: str, scoring: str, model: str = "m-1") -> Heartbeat:
    return Heartbeat(worker_id, 0, 1, 0.0, 0.0, 0.0, 0, (), 0, model, scoring)


def test_two_versions_at_once_are_both_named() -> None:
    part = judge_scoring([beat("a", "ok", "m-2"), beat("b", "ok")], "")
    assert (part.status, part.detail) == ("ok", "visitors are scored by m-1 and m-2")


def test_of_many_troubled_workers_only_some_are_named() -> None:
    part = judge_scoring([beat(f"w{i}", "off") for i in range(9)], "")
    assert part.detail.count("no model is loaded") == 3
    assert part.detail.endswith("6 more workers")


def test_where_no_worker_has_a_model_it_says_that_nobody_is_scored() -> None:
    part = judge_scoring([beat("a", "off", ""), beat("b", "off", "")], "")
    assert (part.status, part.detail) == (
        "degraded",
        "no visitor is scored: a: no model is loaded; b: no model is loaded",
    )


def test_without_workers_nobody_scores() -> None:
    assert judge_scoring([], "").status == "degraded"


def test_a_window_ends_with_the_running_bucket() -> None:
    at_ms = 10 * HOUR_MS + 90_000
    assert list(window_starts("24h", at_ms))[-1] == 10 * HOUR_MS
    hour = window_starts("1h", at_ms)
    assert (len(hour), hour[-1]) == (60, 10 * HOUR_MS + 60_000)
    assert window_starts("1h", at_ms, ago_ms=2 * HOUR_MS)[-1] == 8 * HOUR_MS, "none that may still change"
    assert settled_starts("1h", at_ms)[-1] == 8 * HOUR_MS + 30 * MINUTE_MS
    assert settled_starts("24h", at_ms)[-1] == -3 * HOUR_MS


async def test_other_slots_are_told_without_the_api_knowing_them(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    assert "slots" not in await read(client)
    drift = (DriftState("error", 0.25, 900, 0, 0).to_text(),)
    state.beat(
        "w1",
        model="m-1",
        scoring="ok",
        slots=(
            SlotReport("next_action", "m-1", "ok", 70, 3),
            SlotReport("next_purchase", "v2", "the model failed: KeyError", 5, 2, drift),
        ),
    )
    state.beat("w2", slots=(SlotReport("next_action"), SlotReport("next_purchase")))
    state.add_quality(0, now, COUNTS | {"next_purchase/n:v1": 3, "next_purchase/y:v1": 2})
    state.add_quality(3, now, {"next_purchase/n:v1": 1, "next_purchase/l:v1": 2_000_000})
    state.add_quality(1, now - 2 * HOUR_MS, {"next_purchase/n:v2": 9, "next_purchase/late:v2": 4})
    state.flush()
    await asyncio.sleep(MODELS_AGE_S)
    found = await read(client)
    assert {model["version"] for model in found["models"]} == {"m-1", None, "rules-1"}
    (slot,) = found["slots"]
    assert slot["slot"] == "next_purchase"
    second, first = slot["models"]
    assert (first["version"], second["version"]) == ("v1", "v2")
    assert first["windows"]["1h"] == {
        "n": 4,
        "accuracy": None,
        "mean_loss": None,
        "counts": {},
        "missing": dict.fromkeys(("accuracy", "mean_loss"), say_early("1h", is_settled=False)),
    }
    assert second["windows"]["1h"]["n"] == 0
    assert (second["windows"]["24h"]["n"], second["windows"]["24h"]["counts"]) == (9, {"late": 4})
    one, two = slot["workers"]
    assert (one["worker_id"], one["model"], one["state"]) == ("w1", "v2", "the model failed: KeyError")
    assert (one["scored"], one["skipped"], one["drift"][0]["width"]) == (5, 2, 900)
    assert (two["worker_id"], two["model"], two["state"], two["drift"]) == ("w2", None, "off", [])
    assert found["scoring"]["detail"] == "w2: no model is loaded", "other slots do not say how scoring goes"


def test_heartbeats_of_earlier_versions_and_for_them_are_read() -> None:
    earlier = beat("w1", "ok").to_hash()
    del earlier["slots"]
    read_back = from_hash(earlier)
    assert read_back.slots == (SlotReport("next_action", "m-1", "ok"),)
    later = read_back._replace(
        slots=(*read_back.slots, SlotReport("next_purchase", "v1", "ok", 1, 2, ("a",)))
    )
    fields = later.to_hash()
    assert from_hash(fields) == later
    assert earlier.items() <= fields.items(), "an earlier version finds its fields as they were"
    with pytest.raises(ValueError, match="invalid report of a slot"):
        from_hash(fields | {"slots": '[{"slot": "a"}]'})
