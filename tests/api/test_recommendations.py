"""`/v1/recommendations` on a real Redis: what is answered, what is refused, and to whom."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from fastapi import FastAPI

from api.identity.principal import Scope
from api.resources.recommendations import exposures
from api.resources.recommendations.recommender import Recommender
from api.resources.recommendations.schemas import Recommendations
from api.services import services_of
from api_keys import SHOP, bearer, look_again, make_page_key, make_secret_key
from contracts.clock import wall_clock_ms
from contracts.products import Amount, Product
from contracts.sessions import BOUGHT, CARTED, VIEWED, StoredSession
from contracts.settings import Settings
from event_api import check_problem
from models.recommendation.arms import Arms
from readers.recommendations.ranking import Ranking
from shop_state import ShopState
from visitor_makers import CART, PURCHASE, VIEW, make_visitor

PATH = "/v1/recommendations"
DEVICE = "0123456789abcdef" * 2


@pytest.fixture
def shop(app: FastAPI, state: ShopState) -> ShopState:
    """A shop whose visitors look at `tea` and `cup` together, and buy `cup` with `pot`."""
    feed = services_of(app).get(Recommender).live.feed
    now = wall_clock_ms()
    for n in range(12):
        feed.index.put(
            f"v{n}", 0, StoredSession(now - 60_000, now - 50_000, ("tea", "cup"), (VIEWED, VIEWED))
        )
    for n in range(5):
        feed.index.put(
            f"w{n}", 0, StoredSession(now - 60_000, now - 50_000, ("cup", "pot"), (BOUGHT, BOUGHT))
        )
    feed.index.put("x", 0, StoredSession(now - 60_000, now - 50_000, ("tray",), (CARTED,)))
    for product, price, categories in (
        ("tea", 450, ("food",)),
        ("cup", 900, ("kitchen",)),
        ("pot", 2_900, ("kitchen",)),
    ):
        feed.catalogue.tell(
            product, Product(title=product.title(), price=Amount(price, "EUR"), categories=categories)
        )
    return state


async def ask(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(PATH + query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert Recommendations.model_validate(found).model_dump(mode="json") == found, "or the document is wrong"
    return found


def shown(answer: dict[str, Any]) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


async def test_the_newest_click_is_in_the_answer_and_each_product_says_why(
    client: httpx.AsyncClient, shop: ShopState
) -> None:
    shop.put_visitor("u1", make_visitor((VIEW, "tray")))
    shop.flush()
    before = await ask(client, "?user_id=u1&exclude_seen=1")
    shop.put_visitor("u1", make_visitor((VIEW, "tray"), (VIEW, "tea")))
    shop.flush()
    after = await ask(client, "?user_id=u1&exclude_seen=1")
    assert before["items"] != after["items"]
    first = after["items"][0]
    assert (first["product_id"], first["place"], first["source"]) == ("cup", 1, "for_you")
    assert first["title"] == "Cup"
    assert first["price"] == {"currency": "EUR", "amount_minor": 900, "amount": "9.00"}
    assert first["reason"]["params"]["product"] == "tea"
    assert "Tea" in first["reason"]["words"]
    assert (after["answered_by"], after["arm"], after["is_known"]) == ("for_you", "main", True)
    assert after["rec_id"] != before["rec_id"]


async def test_an_unknown_visitor_gets_what_the_shop_likes(
    client: httpx.AsyncClient, shop: ShopState
) -> None:
    del shop
    for user_id in ("nobody", "sp:v:{1}:u1", "a/b*?[x]", "{0}", "käse 🧀"):
        found = (await client.get(PATH, params={"user_id": user_id})).json()
        assert (found["is_known"], found["user_id"], found["scenario"]) == (False, user_id, "for_you")
        assert found["answered_by"] not in (None, "for_you")
        assert set(shown(found)) == {"tea", "cup", "pot", "tray"}


async def test_an_unknown_product_is_no_error(client: httpx.AsyncClient, shop: ShopState) -> None:
    del shop
    found = await ask(client, "?product_id=sp:1:catalogue&limit=3")
    assert (found["scenario"], found["tried"][0], len(found["items"])) == ("similar", "similar", 3)
    assert found["answered_by"] != "similar"
    assert (found["rec_id"], found["visitor_id"]) == (None, None)


async def test_scenarios_answer_about_the_page_and_the_cart(
    client: httpx.AsyncClient, shop: ShopState
) -> None:
    shop.put_visitor("u1", make_visitor((CART, "cup"), cart=("cup",)))
    shop.flush()
    assert shown(await ask(client, "?product_id=tea"))[0] == "cup"
    assert shown(await ask(client, "?product_id=cup&scenario=bought_together"))[0] == "pot"
    cart = await ask(client, "?user_id=u1&scenario=for_cart")
    assert cart["answered_by"] == "for_cart"
    assert "cup" not in shown(cart)
    assert "cup" in shown(await ask(client, "?user_id=u1&scenario=trending&exclude_in_cart=0"))


async def test_what_the_shop_rules_out_is_not_shown(client: httpx.AsyncClient, shop: ShopState) -> None:
    shop.put_visitor("u1", make_visitor((PURCHASE, "pot"), (VIEW, "tea")))
    shop.flush()
    assert "cup" not in shown(await ask(client, "?user_id=u1&exclude=cup,other"))
    assert shown(await ask(client, "?user_id=u1&category=kitchen&exclude_bought=1")) == ["cup"]
    assert "tea" not in shown(await ask(client, "?user_id=u1&exclude_seen=1"))
    assert set(shown(await ask(client, "?price_min=5&price_max=10.50"))) == {"cup"}
    assert shown(await ask(client, "?user_id=u1&pin=tray,pot&limit=3"))[:2] == ["tray", "pot"]
    kitchen = [each for each in shown(await ask(client, "?most_per_category=1")) if each in ("cup", "pot")]
    assert len(kitchen) == 1
    none = await ask(client, "?category=garden")
    assert (none["items"], none["empty_because"], none["answered_by"]) == ([], "ruled_out", None)
    assert none["rec_id"] is None


async def test_a_shop_without_products_says_so(client: httpx.AsyncClient) -> None:
    found = await ask(client, "?user_id=u1")
    assert (found["items"], found["empty_because"]) == ([], "no_products")
    assert found["tried"]


REFUSED = {
    "?limit=0": "limit.too_small",
    "?limit=10000": "limit.too_large",
    "?limit=many": "limit.not_integer",
    "?scenario=magic": "scenario.not_allowed",
    "?scenario=similar": "product_id.missing",
    "?price_min=20&price_max=10": "price_min.above_max",
    "?price_min=-1": "price_min.negative",
    "?price_min=1&currency=XXY": "currency.unknown",
    "?category=a&exclude_category=a": "exclude_categories.all",
    "?pin=a,b&exclude=b": "pin.excluded",
    "?exclude=a,%00b": "exclude.control_characters",
    "?user_id=%20": "user_id.blank",
    "?user_id=" + "x" * 129: "user_id.too_long",
    "?users=a": "query.unknown",
    "?limit=1&limit=2": "query.repeated",
}


async def test_a_question_that_no_answer_fits_is_refused(client: httpx.AsyncClient) -> None:
    for query, code in REFUSED.items():
        check_problem(await client.get(PATH + query), 422, code)


async def test_several_questions_are_answered_in_their_order(
    client: httpx.AsyncClient, shop: ShopState
) -> None:
    shop.put_visitor("u1", make_visitor((VIEW, "tea")))
    shop.flush()
    boosts = [{"of": "product", "value": "tray", "factor": 1_000}]
    questions = [
        {"user_id": "u1", "limit": 2, "weights": {"view": 0, "cart": 1, "purchase": 4.5}},
        {"product_id": "tea", "limit": 1},
        {"user_id": "u2", "scenario": "trending", "limit": 1, "boosts": boosts, "preview": True},
    ]
    answer = await client.post(PATH, json={"requests": questions})
    assert answer.status_code == 200, answer.text
    first, second, third = answer.json()["answers"]
    assert (first["user_id"], len(first["items"])) == ("u1", 2)
    assert (second["scenario"], shown(second)) == ("similar", ["cup"])
    assert (shown(third), third["rec_id"]) == (["tray"], None)


FLAWED: list[tuple[Any, int, str, str]] = [
    ({"requests": [{}, {"limit": 0}]}, 422, "limit.too_small", "requests[1].limit"),
    ({"requests": [{"limit": "5"}]}, 422, "limit.not_integer", "requests[0].limit"),
    ({"requests": [{"scenario": "similar"}]}, 422, "product_id.missing", "product_id"),
    ({"requests": [{"price_min": "9", "price_max": "8"}]}, 422, "price_min.above_max", "price_max"),
    ({"requests": [{"boosts": [{"of": "brand", "value": "x", "factor": 0}]}]}, 422, "factor.too_small", ""),
    ({"requests": [{"weights": {"view": 0, "cart": 0, "purchase": 0}}]}, 422, "weights.not_positive", ""),
    ({"requests": [{"pins": ["a"], "exclude": ["a"]}]}, 422, "pin.excluded", "requests[0].pin"),
    ({"requests": [{"word": 1}]}, 422, "body.unknown_field", "requests[0] has"),
    ({"requests": []}, 422, "requests.too_short", "requests"),
    ({"requests": [{}] * 21}, 422, "requests.too_long", "requests"),
    ({}, 422, "requests.missing", "requests"),
    ([], 400, "body.not_object", "got array"),
    (b'{"requests": [{"limit": 1, "limit": 2}]}', 400, "body.repeated_field", "twice"),
    (b"{", 400, "body.not_json", "line 1"),
]


async def test_a_body_with_a_flaw_is_refused_with_its_place(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    for body, status, code, said in FLAWED:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = await client.post(PATH, headers=headers, **content)
        assert said in check_problem(answer, status, code)["detail"]


@pytest.mark.parametrize(
    "settings",
    [{"recommendation_hold_out": 0.4, "recommendation_arms": "buyers=30%:0/0/1"}],
    indirect=True,
)
async def test_visitors_who_are_held_out_get_what_is_popular(
    client: httpx.AsyncClient, settings: Settings, shop: ShopState
) -> None:
    arms = Arms(hold_out=0.4, others="buyers=30%:0/0/1", salt=settings.namespace)
    one_of = {arms.find(f"u{n}").name: f"u{n}" for n in range(50)}
    for user_id in one_of.values():
        shop.put_visitor(user_id, make_visitor((VIEW, "tray"), (VIEW, "tea")))
    shop.flush()
    found = {name: await ask(client, f"?user_id={user_id}") for name, user_id in one_of.items()}
    assert {name: answer["arm"] for name, answer in found.items()} == {name: name for name in one_of}
    assert {answer["scenario"] for answer in found.values()} == {"for_you"}
    assert found["held_out"]["answered_by"] == "trending"
    assert found["main"]["answered_by"] == found["buyers"]["answered_by"] == "for_you"


async def test_a_key_of_pages_asks_only_of_devices_and_only_if_it_was_made_for_it(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, shop: ShopState
) -> None:
    shop.put_visitor(DEVICE, make_visitor((VIEW, "tea")))
    shop.flush()
    redis = services_of(app).reader.redis
    scopes = (Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ)
    page_key, sender = (
        await make_page_key(redis, settings, scopes=scopes),
        await make_page_key(redis, settings),
    )
    server = await make_secret_key(redis, settings, Scope.RECOMMENDATIONS_READ)
    look_again(app)

    async def post(key: object, user_id: str | None) -> httpx.Response:
        body = {"requests": [{"user_id": user_id}]}
        origin = {} if key is server else {"origin": SHOP}
        return await client.post(PATH, json=body, headers={**bearer(key), **origin})

    own = await post(page_key, DEVICE)
    assert own.json()["answers"][0]["answered_by"] == "for_you"
    assert own.headers["access-control-allow-origin"] == SHOP
    assert (await post(page_key, None)).status_code == 200
    check_problem(await post(page_key, "customer-97"), 403, "user_id.not_device")
    check_problem(await post(sender, DEVICE), 403, "key.scope")
    assert (await post(server, "customer-97")).status_code == 200
    check_problem(await client.get(PATH), 401, "key.missing")


async def test_only_what_a_visitor_is_shown_is_an_exposure(
    client: httpx.AsyncClient, shop: ShopState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposures, "MAX_WAITING", 0)
    shop.flush()
    for query in ("?user_id=u1", "?user_id=u1&preview=1", "?product_id=tea", "?user_id=u1&category=none"):
        await ask(client, query)
    assert 'storepulse_api_exposures_total{result="dropped"} 1.0' in (await client.get("/metrics")).text


class GivenModel:
    """Of all products it likes the pot most, and fails once it is told to."""

    version = "given"
    ranker = None
    fails = False

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> npt.NDArray[np.float64]:
        assert products
        if self.fails:
            raise ArithmeticError("no numbers")
        return np.array([9.0 if name == "pot" else float("nan") for name in candidates])


class GivenSource:
    def __init__(self, model: GivenModel) -> None:
        self.model = model

    def stamp(self) -> object:
        return self.model

    def load(self) -> GivenModel:
        return self.model


async def test_a_model_ranks_with_the_sessions_until_it_fails(
    app: FastAPI, client: httpx.AsyncClient, shop: ShopState
) -> None:
    shop.put_visitor("u1", make_visitor((VIEW, "tray"), (VIEW, "tea"), (VIEW, "cup")))
    shop.flush()
    query = "?user_id=u1&exclude_seen=1&preview=1"
    without = await ask(client, query)
    source = GivenSource(GivenModel())
    ranking = services_of(app).get(Recommender).live.ranking = Ranking(source)
    assert ranking.host is not None
    assert ranking.trouble == "it is being read"
    assert (await ask(client, query))["model"] == without["model"]
    await ranking.host.look()
    found = await ask(client, query)
    assert found["model"] == f"{without['model']}-given"
    assert found["items"][0]["product_id"] == "pot"
    assert found["items"][0]["score"] != without["items"][0]["score"]
    source.model.fails = True
    assert (await ask(client, query))["items"] == without["items"]
    assert ranking.trouble == "it has failed"
    source.model = GivenModel()
    await ranking.host.look()
    assert (await ask(client, query))["model"] == found["model"]


@pytest.mark.parametrize("settings", [{"next_item_dir": "/nowhere/next-item"}], indirect=True)
async def test_a_folder_without_a_model_is_said_in_readyz(
    app: FastAPI, client: httpx.AsyncClient, shop: ShopState
) -> None:
    del shop
    host = services_of(app).get(Recommender).live.ranking.host
    assert host is not None
    async with asyncio.timeout(10):
        await host.has_looked.wait()
    assert shown(await ask(client))
    part = (await client.get("/readyz")).json()["parts"]["recommendations"]
    assert part["status"] == "degraded"
    assert "no readable" in part["detail"]
