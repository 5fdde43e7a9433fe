"""When keys are needed, where they may come in a request, and what each wrong one is told."""

import base64
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.identity.key_store import KeyPlan, KeyStore
from api.identity.key_text import KeyKind, KeyText, make_key, make_secret
from api.identity.principal import Scope
from api.services import services_of
from api_keys import (
    AS_ROOT,
    ROOT_KEY,
    SHOP,
    bearer,
    let_age,
    look_again,
    make_page_key,
    make_secret_key,
)
from api_keys import make_key as store_key
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from rule_model import GivenModel
from shop_state import ShopState

CART = {"event_type": "cart", "user_id": "you", "product_id": "p00054"}
EVENTS = "/v1/events?validate=1"
"""A dry run needs no Kafka."""
CLOSED = {"root_key": ROOT_KEY}
closed = pytest.mark.parametrize("settings", [CLOSED], indirect=True)


@pytest.fixture(autouse=True)
def clean(state: ShopState) -> ShopState:
    """Removes the keys after the test."""
    return state


@pytest.fixture
async def server_key(app: FastAPI, settings: Settings) -> KeyText:
    return await make_secret_key(services_of(app).reader.redis, settings, Scope.INSIGHTS_READ)


@pytest.fixture
async def page_key(app: FastAPI, settings: Settings) -> KeyText:
    return await make_page_key(services_of(app).reader.redis, settings)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["code"]


async def test_without_any_key_everybody_on_this_machine_may_do_everything(client: httpx.AsyncClient) -> None:
    for path in ("/v1/live", "/metrics"):
        assert (await client.get(path)).status_code == 200
    assert (await client.post(EVENTS, json=CART)).status_code == 200
    with_some_key = await client.get("/v1/live", headers=bearer("whatever"))
    assert with_some_key.status_code == 200


async def test_the_first_key_closes_the_door(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    assert (await client.get("/v1/live")).status_code == 200
    key = await make_secret_key(services_of(app).reader.redis, settings, Scope.INSIGHTS_READ)
    look_again(app)
    answer = await client.get("/v1/live")
    assert code_of(answer) == (401, "key.missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="storepulse"'
    assert (await client.get("/v1/live", headers=bearer(key))).status_code == 200


async def test_the_last_key_revoked_does_not_open_it_again(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, server_key: KeyText
) -> None:
    redis = services_of(app).reader.redis
    assert (await client.get("/v1/live", headers=bearer(server_key))).status_code == 200
    store = KeyStore(redis, Keys(settings.namespace, settings.partitions))
    await store.revoke(server_key.key_id, wall_clock_ms())
    look_again(app)
    assert code_of(await client.get("/v1/live", headers=bearer(server_key))) == (401, "key.revoked")
    assert code_of(await client.get("/v1/live")) == (401, "key.missing")


async def test_a_wider_host_needs_keys_though_there_are_none(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"api_host": "0.0.0.0"}), GivenModel())  # noqa: S104
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert code_of(await client.get("/v1/live")) == (401, "key.missing")


@closed
async def test_the_root_key_opens_everything_and_nothing_else_does(client: httpx.AsyncClient) -> None:
    for path in ("/v1/live", "/metrics", "/v1/alerts"):
        assert (await client.get(path, headers=AS_ROOT)).status_code == 200
        for wrong in (ROOT_KEY[:-1], ROOT_KEY + "x", ""):
            assert code_of(await client.get(path, headers=bearer(wrong)))[0] == 401
    answer = await client.post(EVENTS, json={**CART, "event_type": "purchase"}, headers=AS_ROOT)
    assert answer.status_code == 200


async def test_an_unknown_id_and_a_wrong_secret_get_one_answer(
    client: httpx.AsyncClient, server_key: KeyText
) -> None:
    unknown, wrong = make_key(KeyKind.SECRET), server_key._replace(secret=make_secret())
    other_kind = server_key._replace(kind=KeyKind.PUBLISHABLE)
    answers = [
        await client.get("/v1/live", headers=bearer(key)) for key in (unknown, wrong, other_kind, "sk_live_x")
    ]
    told = [{**answer.json(), "request_id": ""} for answer in answers]
    for answer in answers:
        assert code_of(answer) == (401, "key.unknown")
        assert told.count(told[0]) == len(answers)
        assert set(answer.headers) == set(answers[0].headers)


async def test_a_key_without_the_scope_is_forbidden(client: httpx.AsyncClient, server_key: KeyText) -> None:
    answer = await client.get("/v1/users/someone", headers=bearer(server_key))
    assert code_of(answer) == (403, "key.scope")
    assert "visitors:read" in answer.json()["detail"]


async def test_an_expired_key_is_told_so(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    plan = KeyPlan("short", scopes=(Scope.INSIGHTS_READ,), expires_ms=wall_clock_ms() - 1)
    key = await store_key(services_of(app).reader.redis, settings, plan)
    assert code_of(await client.get("/v1/live", headers=bearer(key))) == (401, "key.expired")


async def test_a_new_secret_counts_at_once_and_the_old_one_through_its_overlap(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, server_key: KeyText
) -> None:
    assert (await client.get("/v1/live", headers=bearer(server_key))).status_code == 200
    store = KeyStore(services_of(app).reader.redis, Keys(settings.namespace, settings.partitions))
    let_age(app, 0.5)  # the copy is still young enough to be used, old enough to be looked up again
    new, _ = await store.rotate(server_key.key_id, wall_clock_ms(), 3_600_000)
    for key in (new, server_key):
        assert (await client.get("/v1/live", headers=bearer(key))).status_code == 200


async def test_basic_takes_the_key_as_user_name(client: httpx.AsyncClient, server_key: KeyText) -> None:
    assert (await client.get("/v1/live", auth=(str(server_key), ""))).status_code == 200
    assert (await client.get("/v1/live", auth=("someone", str(server_key)))).status_code == 401
    for text in ("Basic !", f"Basic {base64.b64encode(bytes([255])).decode()}", "Digest x", "x"):
        answer = await client.get("/v1/live", headers={"authorization": text})
        assert code_of(answer) == (401, "key.scheme")


async def test_two_keys_in_one_request_are_refused(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, page_key: KeyText
) -> None:
    other = await make_page_key(services_of(app).reader.redis, settings)
    two = [("authorization", f"Bearer {page_key}"), ("authorization", f"Bearer {other}")]
    assert code_of(await client.get("/v1/live", headers=two)) == (401, "key.several")
    headers = {**bearer(page_key), "origin": SHOP, "content-type": "text/plain"}
    body: dict[str, Any] = {"batch": [CART], "key": str(other)}
    assert code_of(await client.post(EVENTS, json=body, headers=headers)) == (401, "key.several")
    body["key"] = str(page_key)
    assert (await client.post(EVENTS, json=body, headers=headers)).status_code == 200


async def test_a_key_in_the_url_is_refused_even_where_none_is_needed(
    client: httpx.AsyncClient,
) -> None:
    key = make_key(KeyKind.SECRET)
    for path in (f"/v1/live?key={key}", f"/v1/users/{key}", f"/v1/live?a={str(key).replace('_', '%5f')}"):
        answer = await client.get(path)
        assert code_of(answer) == (401, "key.in_url")
        assert key.secret not in answer.text


async def test_a_beacon_may_carry_its_publishable_key_in_the_body(
    client: httpx.AsyncClient, page_key: KeyText, server_key: KeyText
) -> None:
    beacon = {"content-type": "text/plain;charset=UTF-8", "origin": SHOP}
    body: dict[str, Any] = {"batch": [CART], "key": str(page_key)}
    assert (await client.post(EVENTS, json=body, headers=beacon)).status_code == 200
    for key, code in (
        (str(server_key), "key.exposed"),
        (ROOT_KEY, "key.unknown"),
        (str(make_key(KeyKind.PUBLISHABLE)), "key.unknown"),
        (None, "key.missing"),
    ):
        answer = await client.post(EVENTS, json={**body, "key": key}, headers=beacon)
        assert code_of(answer) == (401, code)
    as_json = await client.post(EVENTS, json=body, headers={"origin": SHOP})
    assert code_of(as_json) == (401, "key.missing")  # whoever may set that header may set the other


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://shop.example", SHOP + ":444"]
)
async def test_a_publishable_key_counts_only_in_its_pages(
    client: httpx.AsyncClient, page_key: KeyText, origin: str | None
) -> None:
    headers = bearer(page_key) | ({} if origin is None else {"origin": origin})
    assert code_of(await client.post(EVENTS, json=CART, headers=headers)) == (403, "key.origin")
    good = bearer(page_key) | {"origin": SHOP}
    assert (await client.post(EVENTS, json=CART, headers=good)).status_code == 200


async def test_ga4_senders_present_a_publishable_key_as_their_secret(
    client: httpx.AsyncClient, page_key: KeyText, server_key: KeyText
) -> None:
    path, origin = "/debug/mp/collect?measurement_id=G-1&api_secret=", {"origin": SHOP}
    item = {"item_id": "p1", "price": 5, "quantity": 1}
    body = {
        "client_id": "c1",
        "events": [{"name": "view_item", "params": {"currency": "EUR", "value": 5, "items": [item]}}],
    }
    assert (await client.post(f"{path}{page_key}", json=body, headers=origin)).status_code == 200
    for key, code in ((server_key, "key.exposed"), ("of-google", "key.unknown")):
        assert code_of(await client.post(f"{path}{key}", json=body, headers=origin)) == (401, code)
    with_header = await client.post(f"{path}of-google", json=body, headers=origin | bearer(page_key))
    assert with_header.status_code == 200
    both = await client.post(f"{path}{server_key}", json=body, headers=origin | bearer(server_key))
    assert code_of(both) == (401, "key.exposed")


async def test_an_open_api_answers_no_page_that_renamed_itself(client: httpx.AsyncClient) -> None:
    for host in ("evil.example", "evil.example:8000", "192.168.0.7"):
        answer = await client.get("/v1/live", headers={"host": host})
        assert code_of(answer) == (403, "host.not_local")
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert (await client.get("/v1/live", headers={"host": host})).status_code == 200


async def test_an_open_api_takes_no_writes_from_other_pages(client: httpx.AsyncClient) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:3000"):
        answer = await client.post(EVENTS, json=CART, headers={"origin": origin})
        assert code_of(answer) == (403, "origin.not_allowed")
    own = {"origin": "http://localhost", "host": "localhost"}
    assert (await client.post(EVENTS, json=CART, headers=own)).status_code == 200


@pytest.mark.parametrize("settings", [{"allowed_origins": "http://localhost:3000"}], indirect=True)
async def test_a_setting_lets_a_page_in_development_send(client: httpx.AsyncClient) -> None:
    page = {"origin": "http://localhost:3000"}
    answer = await client.post(EVENTS, json=CART, headers=page)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


async def test_strangers_learn_only_whether_it_is_ready(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    assert set((await client.get("/readyz")).json()["parts"]) >= {"redis", "kafka"}
    key = await make_secret_key(services_of(app).reader.redis, settings, Scope.OPERATIONS_READ)
    look_again(app)
    stranger = (await client.get("/readyz")).json()
    assert stranger == {"status": "down", "parts": {}}
    assert set((await client.get("/readyz", headers=bearer(key))).json()["parts"]) >= {"redis", "kafka"}
    assert (await client.get("/livez")).json() == {"status": "ok"}
    assert code_of(await client.get("/metrics")) == (401, "key.missing")
    assert (await client.get("/metrics", headers=bearer(key))).status_code == 200
