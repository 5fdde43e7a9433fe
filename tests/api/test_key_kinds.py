"""Keys of apps and of servers that cannot set headers: where they may come from, and what they may."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.identity.key_store import KeyPlan
from api.identity.key_text import KeyKind, KeyText
from api.identity.principal import Scope
from api.services import services_of
from api_keys import SHOP, bearer, make_key, make_secret_key
from contracts.settings import Settings
from event_api import CART, DRY, check_problem
from shop_state import ShopState

PURCHASE = {**CART, "event_type": "purchase", "order_id": "o1"}
CALL: dict[str, Any] = {"type": "track", "event": "Signed Up", "userId": "u"}
VIEW = {"client_id": "c", "events": [{"name": "view_item", "params": {"items": [{"item_id": "p1"}]}}]}
Make = Callable[..., Awaitable[KeyText]]


@pytest.fixture(autouse=True)
def clean(state: ShopState) -> ShopState:
    """Removes the keys after the test."""
    return state


@pytest.fixture
def make(app: FastAPI, settings: Settings) -> Make:
    """`await make(kind, ...)`: a key that only sends events."""

    async def make_one(kind: KeyKind, **fields: Any) -> KeyText:
        plan = KeyPlan("a sender", kind=kind, **fields)
        return await make_key(services_of(app).reader.redis, settings, plan)

    return make_one


def basic(key: object) -> dict[str, str]:
    """The key as user name, without a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


@pytest.mark.parametrize("kind", [KeyKind.APP, KeyKind.WRITE])
async def test_they_send_events_without_an_origin_and_from_no_page(
    client: httpx.AsyncClient, make: Make, kind: KeyKind
) -> None:
    key = await make(kind)
    for headers in (bearer(key), basic(key)):
        answer = await client.post(DRY, json=CART, headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
        assert (await client.post("/v1/b/", json={"batch": [CALL]}, headers=headers)).status_code == 200
        for origin in (SHOP, "null", "http://localhost"):
            answer = await client.post(DRY, json=CART, headers={**headers, "origin": origin})
            check_problem(answer, 403, "key.origin")


@pytest.mark.parametrize("kind", [KeyKind.APP, KeyKind.WRITE])
async def test_they_do_nothing_else(client: httpx.AsyncClient, make: Make, kind: KeyKind) -> None:
    key = await make(kind)
    for path in ("/v1/live", "/v1/users/u1", "/v1/alerts", "/v1/webhooks", "/metrics", "/v1/models"):
        check_problem(await client.get(path, headers=bearer(key)), 403, "key.scope")
    deletion = await client.post("/v1/privacy/deletions", json={"user_id": "u"}, headers=bearer(key))
    check_problem(deletion, 403, "key.scope")
    check_problem(await client.get("/v1/events/tail", headers=bearer(key)), 403, "key.publishable")


async def test_an_app_sells_only_if_its_key_was_made_so(client: httpx.AsyncClient, make: Make) -> None:
    verdicts = {}
    for name, key in {
        "app": await make(KeyKind.APP, may_purchase=False),
        "trusted app": await make(KeyKind.APP),
        "server": await make(KeyKind.WRITE),
    }.items():
        answer = await client.post(DRY, json=[CART, PURCHASE], headers=bearer(key))
        verdicts[name] = [error["code"] for error in answer.json()["errors"]]
    assert verdicts == {"app": ["purchase.not_allowed"], "trusted app": [], "server": []}


@pytest.mark.parametrize("kind", [KeyKind.APP, KeyKind.WRITE])
async def test_they_may_be_in_the_body_of_segments_libraries(
    client: httpx.AsyncClient, make: Make, kind: KeyKind
) -> None:
    key = str(await make(kind))
    for content_type in ("application/json; charset=utf-8", "text/plain", "application/octet-stream"):
        headers = {"content-type": content_type}
        for path in ("/v1/import/", "/v1/b", "/v1/batch"):
            answer = await client.post(path, json={"batch": [CALL], "writeKey": key}, headers=headers)
            assert (answer.status_code, answer.json()["ignored"]) == (200, 1)
        for path in ("/v1/t", "/v1/track/", "/v1/identify", "/v1/p/"):
            answer = await client.post(path, json={**CALL, "writeKey": key}, headers=headers)
            assert (answer.status_code, answer.json()["ignored"]) == (200, 1)
    both = await client.post("/v1/t", json={**CALL, "writeKey": key}, headers=basic(key))
    assert both.status_code == 200


async def test_an_empty_key_is_none(client: httpx.AsyncClient, make: Make) -> None:
    key = str(await make(KeyKind.WRITE))
    for in_header, in_body in ((key, ""), ("", key)):
        body = {"batch": [CALL], "writeKey": in_body}
        assert (await client.post("/v1/batch", json=body, headers=basic(in_header))).status_code == 200
    nowhere = await client.post("/v1/batch", json={"batch": [CALL], "writeKey": ""}, headers=basic(""))
    check_problem(nowhere, 401, "key.missing")
    query = {"api_secret": ""}
    check_problem(await client.post("/mp/collect", json=VIEW, params=query), 401, "key.missing")
    assert (await client.post("/debug/mp/collect", json=VIEW, params=query, headers=bearer(key))).is_success


@pytest.mark.parametrize("kind", [KeyKind.APP, KeyKind.WRITE])
async def test_they_may_be_the_secret_in_the_url_of_ga4(
    client: httpx.AsyncClient, make: Make, kind: KeyKind
) -> None:
    key = str(await make(kind))
    query = {"measurement_id": "G-1A2B3C4D5E", "api_secret": key}
    empty = {"client_id": "c", "events": []}
    for path in ("/mp/collect", "/mp/collect/"):
        assert (await client.post(path, json=empty, params=query)).status_code == 204
        in_page = await client.post(path, json=empty, params=query, headers={"origin": SHOP})
        check_problem(in_page, 403, "key.origin")
    checked = await client.post("/debug/mp/collect", json=VIEW, params={"api_secret": key})
    assert checked.json() == {"validationMessages": []}
    check_problem(await client.get("/v1/live", params={"api_secret": key}), 401, "key.in_url")
    check_problem(await client.post(DRY + f"&api_secret={key}", json=CART), 401, "key.in_url")


async def test_a_secret_key_there_is_told_which_kind_to_use(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    key = await make_secret_key(services_of(app).reader.redis, settings, Scope.EVENTS_WRITE)
    in_body = await client.post("/v1/import/", json={"batch": [CALL], "writeKey": str(key)})
    in_query = await client.post("/mp/collect", json=VIEW, params={"api_secret": str(key)})
    for answer in (in_body, in_query):
        assert "--write-only" in check_problem(answer, 401, "key.exposed")["detail"]
        assert key.secret not in answer.text


async def test_a_kind_is_no_other(client: httpx.AsyncClient, make: Make) -> None:
    key = await make(KeyKind.WRITE)
    for kind in (KeyKind.SECRET, KeyKind.APP, KeyKind.PUBLISHABLE):
        answer = await client.post(DRY, json=CART, headers=bearer(key._replace(kind=kind)))
        check_problem(answer, 401, "key.unknown")
    body_without = await client.post("/v1/t", json=CALL)
    check_problem(body_without, 401, "key.missing")
    for empty in ({}, {"content-length": "0"}):
        check_problem(await client.post("/v1/t", headers=empty), 401, "key.missing")


async def test_an_app_has_a_narrower_quota(client: httpx.AsyncClient, make: Make, settings: Settings) -> None:
    app_key, server_key = await make(KeyKind.APP), await make(KeyKind.WRITE)
    quotas = {}
    for name, key in {"app": app_key, "server": server_key}.items():
        answer = await client.post("/v1/events", json=CART, headers=bearer(key))
        quotas[name] = answer.headers["ratelimit-policy"]
    per_s, per_minute = settings.key_requests_per_s, settings.key_events_per_minute
    assert f"q={per_s // 4};w=1;" in quotas["app"]
    assert f"q={per_minute // 4};w=60;" in quotas["app"]
    assert f"q={per_s};w=1;" in quotas["server"]
    assert f"q={per_minute};w=60;" in quotas["server"]
