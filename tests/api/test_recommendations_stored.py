"""`/v1/recommendations` before the first sessions were read: what was published for a visitor stands in."""

import asyncio
from collections.abc import Sequence

import httpx
import msgpack
import pytest
from fastapi import FastAPI

from api.resources.recommendations import recommender
from api.resources.recommendations.recommender import Recommender
from api.resources.recommendations.schemas import Recommendations
from api.services import services_of
from contracts.clock import wall_clock_ms
from contracts.products import Amount, KnownProduct, Product, pack_product
from contracts.recommendations import RECOMMENDATIONS, SNAPSHOT_VERSION
from contracts.snapshots import encode_snapshot
from event_api import check_problem
from models.recommendation.answer import Reason, Recommendation, RecommendedItem
from models.recommendation.request import Scenario
from readers.reader import Reader
from readers.recommendations.live import Ranked
from readers.recommendations.stored import to_value
from readers.stream_time import StreamTime
from shop_state import ShopState
from visitor_makers import CART, PURCHASE, VIEW, make_visitor

PATH = "/v1/recommendations"
MADE_MS_AGO = 30_000
WHY = Reason("viewed_together", {"product": "tea", "visits": 4})


@pytest.fixture
async def loading(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """The API while it reads its first sessions, which takes as long as the test."""
    live = services_of(app).get(Recommender).live
    await live.close()
    live.has_read = asyncio.Event()
    monkeypatch.setattr(recommender, "WAIT_S", 0.05)
    return services_of(app).reader


async def store(reader: Reader, visitor_id: str, *items: tuple[str, str]) -> None:
    """A list of these products, each from a source, made half a minute ago."""
    made_ms = wall_clock_ms() - MADE_MS_AGO
    listed = tuple(
        RecommendedItem(
            product_id, 0.9 - n / 10, source, Reason("viewed_together", {"product": "tea", "visits": 4})
        )
        for n, (product_id, source) in enumerate(items)
    )
    found = Recommendation(listed, Scenario.FOR_YOU, listed[0].source, ("for_you", "trending"))
    value = to_value(Ranked(found, StreamTime(made_ms, "live"), "main", "m-1"), "")
    blob = encode_snapshot(SNAPSHOT_VERSION, 1, made_ms, msgpack.packb(value))
    await reader.redis.set(reader.keys.snapshot(RECOMMENDATIONS, visitor_id), blob)


async def shown(client: httpx.AsyncClient, query: str) -> Sequence[str]:
    answer = await client.get(PATH + query)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert Recommendations.model_validate(found).model_dump(mode="json") == found
    return [item["product_id"] for item in found["items"]]


async def test_a_stored_list_is_completed_with_what_the_visitor_did_since(
    client: httpx.AsyncClient, state: ShopState, loading: Reader
) -> None:
    names = ("cup", "pot", "jar", "pan", "lid")
    await store(loading, "u1", *[(name, "for_you") for name in names])
    state.put_visitor("u1", make_visitor((VIEW, "tea"), (CART, "pot"), (PURCHASE, "jar"), cart=("pot",)))
    state.flush()
    answer = (await client.get(f"{PATH}?user_id=u1")).json()
    assert [item["product_id"] for item in answer["items"]] == ["cup", "pan", "lid"]
    assert [item["place"] for item in answer["items"]] == [1, 2, 3]
    assert (answer["answered_by"], answer["model"], answer["is_known"]) == ("for_you", "m-1", True)
    assert MADE_MS_AGO / 1_000 <= answer["sessions_age_s"] < 60 + MADE_MS_AGO / 1_000
    assert answer["rec_id"]
    assert "tea" in answer["items"][0]["reason"]["words"]


async def test_a_stored_list_keeps_the_rules_of_the_shop_and_the_question(
    client: httpx.AsyncClient, loading: Reader
) -> None:
    facts = {
        "cup": Product(title="Cup", price=Amount(900, "EUR"), categories=("kitchen",)),
        "pot": Product(title="Pot", price=Amount(2_900, "EUR"), categories=("kitchen",)),
        "gone": Product(title="Gone", stock=0, categories=("kitchen",)),
    }
    for product_id, product in facts.items():
        await loading.redis.set(loading.keys.product(product_id), pack_product(KnownProduct(product)))
    await store(
        loading, "u1", ("gone", "for_you"), ("pot", "for_you"), ("cup", "for_you"), ("tea", "trending")
    )
    assert await shown(client, "?user_id=u1") == ["pot", "cup", "tea"]
    assert await shown(client, "?user_id=u1&limit=1") == ["pot"]
    assert await shown(client, "?user_id=u1&category=kitchen&price_max=10") == ["cup"]
    assert await shown(client, "?user_id=u1&exclude=pot,cup") == ["tea"]
    body = {"requests": [{"user_id": "u1", "boosts": [{"of": "product", "value": "cup", "factor": 5}]}]}
    answer = (await client.post(PATH, json=body)).json()["answers"][0]
    assert [item["product_id"] for item in answer["items"]] == ["cup", "pot", "tea"], "within one source"


@pytest.mark.parametrize(
    "query",
    ["?user_id=u2", "", "?user_id=u1&scenario=trending", "?user_id=u1&pin=cup", "?user_id=u1&exclude=cup"],
)
async def test_what_a_stored_list_cannot_answer_waits_for_the_sessions(
    client: httpx.AsyncClient, loading: Reader, query: str
) -> None:
    await store(loading, "u1", ("cup", "for_you"))
    check_problem(await client.get(PATH + query), 503, "recommendations.loading")


async def test_a_spoiled_list_is_none(client: httpx.AsyncClient, loading: Reader) -> None:
    for value in (b"\xc1", encode_snapshot(SNAPSHOT_VERSION, 1, 1, msgpack.packb({"items": 4}))):
        await loading.redis.set(loading.keys.snapshot(RECOMMENDATIONS, "u1"), value)
        check_problem(await client.get(f"{PATH}?user_id=u1"), 503, "recommendations.loading")


async def test_once_sessions_are_read_answers_are_ranked(
    client: httpx.AsyncClient, app: FastAPI, loading: Reader
) -> None:
    await store(loading, "u1", ("cup", "for_you"))
    live = services_of(app).get(Recommender).live
    live.start()
    async with asyncio.timeout(60):
        await live.has_read.wait()
    assert await shown(client, "?user_id=u1") == []
