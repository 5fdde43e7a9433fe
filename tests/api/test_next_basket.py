"""`POST /v1/predict/next-basket`: the list of repeats, a model of the settings, and what is refused."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.resources.next_basket.predictor import BasketPredictor
from api.services import services_of
from contracts.clock import wall_clock_ms
from models.next_basket.repeats import find_repeats
from models.next_basket.served import Ranked

NEXT = "/v1/predict/next-basket"
DAY_MS = 86_400_000


class GivenRanker:
    """A model that expects the newest basket again and one thing more."""

    version = "given-1"

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def rank(self, baskets: Any, ages_days: Any, limit: int) -> list[Ranked]:
        del ages_days
        if self.fails:
            raise ArithmeticError("no numbers")
        names = [*baskets[0], "more"]
        return [Ranked(name, -float(n), baskets[0][0]) for n, name in enumerate(names)][:limit]


class GivenSource:
    def __init__(self, ranker: Any) -> None:
        self.ranker = ranker

    def stamp(self) -> object:
        return 1

    def load(self) -> Any:
        return self.ranker


async def ask(client: httpx.AsyncClient, baskets: Any, **fields: Any) -> httpx.Response:
    return await client.post(NEXT, json={"baskets": baskets, **fields})


async def test_baskets_without_times_get_a_list_by_frequency(client: httpx.AsyncClient) -> None:
    answer = await ask(client, [["milk", "bread"], ["milk"], ["tea", "milk", "milk"]])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert [item["product_id"] for item in found["items"]] == ["milk", "tea", "bread"]
    assert found["items"][0] == {
        "product_id": "milk",
        "score": 0.75,
        "times_bought": 3,
        "days_since": None,
        "reason": {"code": "bought_before", "words": "bought 3 times before"},
    }
    assert (found["answered_by"], found["model"], found["model_trouble"]) == ("repeats", None, None)
    assert found["baskets"] == 3


async def test_what_is_due_is_said_to_be(client: httpx.AsyncClient) -> None:
    now_ms = wall_clock_ms()
    baskets = [{"items": ["filter"], "at": now_ms - 7 * n * DAY_MS} for n in (4, 3, 2, 1)]
    (item,) = (await ask(client, baskets)).json()["items"]
    assert item["days_since"] == pytest.approx(7, abs=0.1)
    assert item["reason"] == {"code": "due", "words": "bought every 7 days, and due"}
    later = (await ask(client, baskets, asked_at=now_ms + 7 * DAY_MS)).json()["items"]
    assert later[0]["days_since"] == pytest.approx(14, abs=0.1)


async def test_the_answer_is_as_long_as_was_asked(client: httpx.AsyncClient) -> None:
    answer = await ask(client, [[f"p{n}" for n in range(30)]], limit=7)
    assert len(answer.json()["items"]) == 7
    assert len((await ask(client, [[f"p{n}" for n in range(30)]])).json()["items"]) == 10


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "baskets.missing"),
        ({"baskets": "milk"}, "baskets.not_list"),
        ({"baskets": []}, "baskets.empty"),
        ({"baskets": [["milk"]] * 101}, "baskets.too_many"),
        ({"baskets": [["milk"]], "user_id": "u1"}, "body.unknown_field"),
        ({"baskets": ["milk"]}, "basket.not_object"),
        ({"baskets": [{"items": ["milk"], "price": 1}]}, "basket.unknown_field"),
        ({"baskets": [{"items": "milk"}]}, "items.not_list"),
        ({"baskets": [[]]}, "items.empty"),
        ({"baskets": [[f"p{n}" for n in range(251)]]}, "items.too_many"),
        ({"baskets": [[f"p{n}" for n in range(200)]] * 26}, "baskets.too_many_items"),
        ({"baskets": [[1.5]]}, "product_id.not_string"),
        ({"baskets": [[" "]]}, "product_id.blank"),
        ({"baskets": [{"items": ["milk"], "at": "2025-10-01T09:00:00Z"}, ["milk"]]}, "at.missing"),
        ({"baskets": [{"items": ["milk"], "at": "yesterday"}]}, "at.not_time"),
        ({"baskets": [{"items": ["milk"], "at": 1_700_000_000}]}, "at.too_early"),
        (
            {
                "baskets": [
                    {"items": ["milk"], "at": "2025-10-02T09:00:00Z"},
                    {"items": ["milk"], "at": "2025-10-01T09:00:00Z"},
                ]
            },
            "at.out_of_order",
        ),
        (
            {
                "baskets": [{"items": ["milk"], "at": "2025-10-02T09:00:00Z"}],
                "asked_at": "2025-10-01T09:00:00Z",
            },
            "at.after_asked",
        ),
        ({"baskets": [["milk"]], "asked_at": "2025-10-01T09:00:00Z"}, "asked_at.unexpected"),
        ({"baskets": [["milk"]], "limit": 0}, "limit.out_of_range"),
        ({"baskets": [["milk"]], "limit": 10_000}, "limit.out_of_range"),
        ({"baskets": [["milk"]], "limit": True}, "limit.out_of_range"),
    ],
)
async def test_what_breaks_a_rule_is_refused_by_its_name(
    client: httpx.AsyncClient, body: Mapping[str, Any], code: str
) -> None:
    answer = await client.post(NEXT, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_broken_basket_is_named_and_none_of_what_was_sent(client: httpx.AsyncClient) -> None:
    answer = await ask(client, [["milk"], [], "secret-basket"])
    assert [(each["index"], each["code"]) for each in answer.json()["errors"]] == [
        (1, "items.empty"),
        (2, "basket.not_object"),
    ]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"content-type": "text/csv"}, b"milk", 415, "content_type.unsupported"),
        ({}, b" " * (1024 * 1024 + 1), 413, "body.too_large"),
        ({}, b"", 400, "body.empty"),
        ({}, b"[1]", 400, "body.not_object"),
        ({}, b"{", 400, "body.not_json"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, headers: Mapping[str, str], content: bytes, status: int, code: str
) -> None:
    answer = await client.post(NEXT, content=content, headers={"content-type": "application/json", **headers})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("key", ["sp:v:1", "visitor:{x}", "*", "p\u00fcnkt"])
async def test_any_id_is_only_an_id(client: httpx.AsyncClient, key: str) -> None:
    assert (await ask(client, [[key]])).json()["items"][0]["product_id"] == key


async def test_a_model_answers_with_what_was_never_bought_too(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    predictor: BasketPredictor = services_of(app).get(BasketPredictor)
    given = BasketPredictor(GivenSource(GivenRanker()))
    assert given.host is not None
    predictor.host = given.host
    assert (await ask(client, [["milk"]])).json()["model_trouble"] == "unavailable"
    await given.host.look()
    found = (await ask(client, [["tea"], ["milk"]], limit=5)).json()
    assert (found["answered_by"], found["model"], found["model_trouble"]) == ("model", "given-1", None)
    assert [(item["product_id"], item["times_bought"]) for item in found["items"]] == [
        ("milk", 1),
        ("more", 0),
    ]
    assert found["items"][1]["reason"] == {
        "code": "follows",
        "words": "often in the basket after one with milk",
    }


async def test_where_a_model_fails_the_list_answers(app: FastAPI, client: httpx.AsyncClient) -> None:
    predictor: BasketPredictor = services_of(app).get(BasketPredictor)
    given = BasketPredictor(GivenSource(GivenRanker(fails=True)))
    assert given.host is not None
    predictor.host = given.host
    await given.host.look()
    found = (await ask(client, [["milk"]])).json()
    assert (found["answered_by"], found["model"], found["model_trouble"]) == ("repeats", None, "failed")
    assert found["items"][0]["product_id"] == "milk"


@pytest.mark.parametrize("settings", [{"next_basket_dir": "/nowhere/next-basket"}], indirect=True)
async def test_a_folder_without_a_model_is_told_in_the_answer(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    predictor: BasketPredictor = services_of(app).get(BasketPredictor)
    assert predictor.host is not None
    async with asyncio.timeout(10):
        await predictor.host.has_looked.wait()
    found = (await ask(client, [["milk"]])).json()
    assert (found["answered_by"], found["model_trouble"]) == ("repeats", "unavailable")
    assert "no readable" in str(predictor.host.refusal)


async def test_the_list_is_that_of_the_repeats(client: httpx.AsyncClient) -> None:
    baskets = [["a", "b"], ["b"], ["c", "b", "a"]]
    found = (await ask(client, baskets)).json()["items"]
    assert [item["product_id"] for item in found] == [each.product_id for each in find_repeats(baskets[::-1])]
