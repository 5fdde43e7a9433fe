"""The part of `/v1/models` about what was learnt, as workers write it."""

import asyncio

import httpx
import numpy as np
import pytest

from api.resources.models.report import MODELS_AGE_S
from api.resources.predictions.next_action_model import LEARNED_AGE_S
from contracts.heartbeat import NEXT_ACTION
from models.online.blob import Learned, pack_learned
from models.online.learning import Answers, learn
from models.online.records import RECORD
from models.online.sums import MEMBERS, nothing_learnt
from shop_state import ShopState

SINCE_MS = 1_760_000_000_000


def learned(version: str, answers: int, since_ms: int) -> Learned:
    """A partition in which four in five visitors left, who had acted otherwise before, and none bought."""
    records = np.zeros(answers, dtype=RECORD)
    records["probabilities"] = (6_000, 1_000, 1_000, 1_000, 1_000, 5_000)
    targets = np.where(np.arange(answers) % 5 == 0, 0, 4)
    records["chain"] = np.where(targets == 0, 100, 500)
    vector = learn(nothing_learnt(), nothing_learnt(), records, Answers(targets, np.zeros(answers, np.int64)))
    return Learned(vector, version, since_ms, since_ms + 1_000)


async def test_what_partitions_have_learnt_is_told_together(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    assert "learning" not in (await client.get("/v1/models")).json()
    state.learn(0, NEXT_ACTION, pack_learned(learned("m1", 200, SINCE_MS)))
    state.learn(1, NEXT_ACTION, pack_learned(learned("m1", 100, SINCE_MS - 60_000)))
    state.learn(2, NEXT_ACTION, b"spoiled")
    state.flush()
    await asyncio.sleep(MODELS_AGE_S)
    answer = await client.get("/v1/models")
    assert answer.status_code == 200, answer.text
    (slot,) = answer.json()["learning"]
    assert (slot["slot"], slot["version"]) == (NEXT_ACTION, "m1")
    assert (slot["since"], slot["as_of"]) == ("2025-10-09T08:52:20Z", "2025-10-09T08:53:21Z")
    task = slot["tasks"]["next_action"]
    assert (task["judged"], task["published"]) == (300, "mixture")
    assert list(task["members"]) == [*MEMBERS, "mixture"]
    assert sum(member["weight"] or 0 for member in task["members"].values()) == pytest.approx(1)
    assert task["members"]["mixture"]["weight"] is None
    assert task["members"]["mixture"]["log_loss"] < task["members"]["model"]["log_loss"]
    assert set(slot["calibration"]) == {
        "view",
        "cart",
        "remove_from_cart",
        "purchase",
        "leave",
        "purchase_later",
    }
    assert slot["calibration"]["purchase_later"] != {"scale": 1.0, "shift": 0.0}


async def test_what_was_learnt_corrects_predictions_too(client: httpx.AsyncClient, state: ShopState) -> None:
    async def ask() -> dict[str, float]:
        answer = await client.post("/v1/predict/next-action", json={"actions": ["view", "cart"]})
        assert answer.status_code == 200, answer.text
        found: dict[str, float] = answer.json()["distribution"]
        return found

    raw = await ask()
    version = (await client.get("/v1/models")).json()["api"]["version"]
    for p in (0, 1):
        state.learn(p, NEXT_ACTION, pack_learned(learned(version, 200, SINCE_MS)))
    state.flush()
    await asyncio.sleep(LEARNED_AGE_S)
    found = await ask()
    assert sum(found.values()) == pytest.approx(1, abs=0.01)
    assert found["leave"] > raw["leave"] + 0.1
