"""`POST /v1/predict/next-action`, with a model of a few rules, under load, and without a model."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.resources.predictions.next_action_model import MAX_AT_ONCE, NextActionModel
from api.services import services_of
from api_keys import AS_ROOT, ROOT_KEY
from models.next_action.rates import Funnel, rates_at
from rule_model import GivenModel, RuleModel
from services import unique_settings
from shop_state import ShopState
from shoppers import make_action

PREDICT = "/v1/predict/next-action"


async def predict(client: httpx.AsyncClient, *actions: Any) -> httpx.Response:
    return await client.post(PREDICT, json={"actions": actions})


async def look_again(app: FastAPI) -> NextActionModel:
    """The model once its host has noticed what its source gives now."""
    model: NextActionModel = services_of(app).get(NextActionModel)
    await model.host.look()
    return model


async def test_a_sequence_gets_a_distribution_with_confidence_and_reasons(client: httpx.AsyncClient) -> None:
    answer = await predict(client, "view", "view", "cart")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert sum(found["distribution"].values()) == pytest.approx(1, abs=3e-4)
    assert found["next_action"] == max(found["distribution"], key=found["distribution"].get)
    assert found["confidence"] == max(found["distribution"].values())
    assert found["purchase_probability"] == 0.5
    assert (found["model"], found["actions"]) == ("rules-1", 3)
    assert found["reasons"] == [
        {"code": "cart", "words": "1 product in the cart: raises the chance of a purchase", "effect": 1.5}
    ]


async def test_a_long_pause_leaves_only_the_last_session(client: httpx.AsyncClient) -> None:
    answer = await predict(client, "cart", {"event_type": "view", "after_s": 7_200})
    assert (answer.json()["actions"], answer.json()["purchase_probability"]) == (1, 0.05)


async def test_a_broken_action_is_a_problem_that_names_it(client: httpx.AsyncClient) -> None:
    answer = await predict(client, "view", {"event_type": "view", "price": -1}, "secret-name")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "price.negative"
    assert [(e["index"], e["code"]) for e in answer.json()["errors"]] == [
        (1, "price.negative"),
        (2, "event_type.unknown"),
    ]
    assert "secret-name" not in answer.text


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"content-type": "text/csv"}, b"view", 415, "content_type.unsupported"),
        ({"content-encoding": "gzip"}, b"{}", 415, "content_encoding.unsupported"),
        ({}, b" " * (1024 * 1024 + 1), 413, "body.too_large"),
        ({}, b"", 400, "body.empty"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, headers: Mapping[str, str], content: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "application/json", **headers}
    answer = await client.post(PREDICT, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_prices_are_compared_with_the_level_of_the_shop(
    client: httpx.AsyncClient, state: ShopState, app: FastAPI
) -> None:
    state.set_meta(0, price_mean_log=6, price_weight=100)
    state.set_meta(3, price_mean_log=9, price_weight=50)
    state.flush()
    level = await services_of(app).reader.price_level()
    assert (level.mean_log, level.weight) == (7.0, 150.0)
    assert (await predict(client, {"event_type": "view", "price": "19.90"})).status_code == 200


async def test_a_model_that_reads_rates_is_given_those_of_the_shop(
    client: httpx.AsyncClient, state: ShopState, source: GivenModel, app: FastAPI
) -> None:
    source.model = RuleModel("rules-2", reads_rates=True)
    source.number += 1
    await look_again(app)
    action = {"event_type": "view", "product_id": "ü1", "category": "shoes"}
    assert (await predict(client, action)).status_code == 200
    assert source.model.rates == [[0.0] * 6]
    for p, name, text in [
        (0, "s", "400 50 5 20000"), (2, "s", "600 50 15 20000"), (0, "pü1", "30 20 2 20000"),
        (1, "pü1", "10 0 0 19000"), (1, "cshoes", "no counts"),
    ]:  # fmt: skip
        state.count_item(p, name, text)
    state.flush()
    assert (await predict(client, action)).status_code == 200
    expected = rates_at(
        make_action("view", 0, "ü1"),
        {"pü1": Funnel(40, 20, 2)}.__getitem__,
        Funnel(1_000, 100, 20),
    )
    assert source.model.rates == [pytest.approx(expected, rel=1e-6)]
    assert expected[0] > 0 == expected[3]


@pytest.mark.parametrize("reads_rates", [False, True])
async def test_a_sequence_without_prices_needs_no_redis(reads_rates: bool) -> None:
    settings = unique_settings("127.0.0.1:1", "redis://127.0.0.1:1/0", root_key=ROOT_KEY)
    app = create_app(settings, GivenModel(RuleModel(reads_rates=reads_rates)))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=AS_ROOT) as client,
    ):
        assert (await predict(client, "view")).status_code == 200
        answer = await predict(client, {"event_type": "view", "price": 5})
        assert (answer.status_code, answer.json()["code"]) == (503, "redis.unavailable")


async def test_more_at_once_than_allowed_are_told_to_come_again(
    client: httpx.AsyncClient, source: GivenModel, app: FastAPI
) -> None:
    await predict(client, "view")
    source.model.may_answer.clear()
    waiting = [asyncio.create_task(predict(client, "view")) for _ in range(MAX_AT_ONCE)]
    async with asyncio.timeout(5):
        while services_of(app).get(NextActionModel)._under_way < MAX_AT_ONCE:
            await asyncio.sleep(0.01)
    answer = await predict(client, "view")
    assert (answer.status_code, answer.json()["code"]) == (503, "model.busy")
    assert answer.headers["retry-after"] == "1"
    assert (await client.get("/livez")).status_code == 200
    source.model.may_answer.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert (await predict(client, "view")).status_code == 200


async def test_a_model_that_hangs_is_not_waited_for(
    client: httpx.AsyncClient, source: GivenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await predict(client, "view")
    monkeypatch.setattr("api.resources.predictions.next_action_model.TIME_LIMIT_S", 0.05)
    source.model.may_answer.clear()
    answer = await predict(client, "view")
    assert (answer.status_code, answer.json()["code"]) == (503, "model.slow")
    source.model.may_answer.set()


async def test_a_model_that_fails_is_a_503_and_the_api_goes_on(
    client: httpx.AsyncClient, source: GivenModel
) -> None:
    source.model.broken = True
    answer = await predict(client, "view")
    assert (answer.status_code, answer.json()["code"]) == (503, "model.failed")
    source.model.broken = False
    assert (await predict(client, "view")).status_code == 200
    text = (await client.get("/metrics")).text
    assert 'storepulse_api_predictions_total{result="model.failed"} 1.0' in text
    assert 'storepulse_api_predictions_total{result="answered"} 1.0' in text
    assert "storepulse_api_prediction_seconds_count 1.0" in text


async def test_a_new_version_is_taken_up_and_a_bad_one_is_refused(
    client: httpx.AsyncClient, source: GivenModel, app: FastAPI
) -> None:
    assert (await predict(client, "view")).json()["model"] == "rules-1"
    source.number, source.model = 1, RuleModel("rules-2")
    model = await look_again(app)
    assert (await predict(client, "view")).json()["model"] == "rules-2"
    source.number, source.error = 2, ValueError("golden outputs differ")
    await look_again(app)
    assert model.trouble == "golden outputs differ"
    assert (await predict(client, "view")).json()["model"] == "rules-2"
    source.number, source.error = 3, None
    await look_again(app)
    assert model.trouble == ""


class TestWithoutModel:
    """No artefact can be loaded."""

    @pytest.fixture
    def source(self) -> GivenModel:
        return GivenModel(error=OSError("no such folder"))

    async def test_predicting_is_a_503_with_a_code(self, client: httpx.AsyncClient) -> None:
        answer = await predict(client, "view")
        assert (answer.status_code, answer.json()["code"]) == (503, "model.unavailable")
        assert "no such folder" not in answer.text

    async def test_a_bad_request_is_still_told_so(self, client: httpx.AsyncClient) -> None:
        assert (await predict(client)).json()["code"] == "actions.empty"
