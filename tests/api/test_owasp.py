"""One test per line of the OWASP API Security Top 10 (2023), held against the whole API.

API7 (server-side request forgery) and API10 (unsafe consumption of other services) are about webhooks: URLs,
addresses and answers of receivers are tried in `tests/api/webhooks/test_targets.py` and `test_sender.py`.
Here is only that nobody gets past that through the API.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount, Route

from api.http.cross_origin import SNIPPET_PATH
from api.identity.guard import Guard
from api.identity.key_text import KeyText
from api.identity.principal import Scope
from api.resources.adapters.settings_routes import SETTINGS_PATH
from api.resources.live.report import LiveReport
from api.services import services_of
from api_keys import AS_ROOT, ROOT_KEY, SHOP, bearer, look_again, make_page_key, make_secret_key
from contracts.settings import Settings
from shop_state import ShopState

CART = {"event_type": "cart", "user_id": "you", "product_id": "p00054"}
PURCHASE = {**CART, "event_type": "purchase", "price": "5", "currency": "EUR", "order_id": "o1"}
EVENTS = "/v1/events?validate=1"
"""A dry run needs no Kafka."""
OPEN_PATHS = {"/", "/livez", "/readyz", "/startupz", "/openapi.json", "/static", SNIPPET_PATH}
OPEN_PATHS |= {SETTINGS_PATH, f"{SETTINGS_PATH}/"}
"""The pages' own files, whether the process is well, what the API looks like, where libraries are to send:
nothing of any shop."""
STREAMS = {"/v1/alerts/stream", "/v1/events/tail"}
"""Answers that do not end."""

closed = pytest.mark.parametrize("settings", [{"root_key": ROOT_KEY}], indirect=True)
Operation = tuple[str, str, str]


@pytest.fixture(autouse=True)
def clean(state: ShopState) -> ShopState:
    """Removes the keys after the test."""
    return state


@pytest.fixture
async def page_key(app: FastAPI, settings: Settings) -> KeyText:
    return await make_page_key(services_of(app).reader.redis, settings)


def operations(app: FastAPI) -> Iterator[Operation]:
    """Method, path and scope of everything that needs a key, by the OpenAPI document."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if operation.get("security"):
                (scope,) = operation["security"][0]["bearer"]
                yield method, re.sub(r"\{[a-z_]+\}", "x", path), scope


async def ask(client: httpx.AsyncClient, operation: Operation, headers: dict[str, str]) -> tuple[int, str]:
    method, path, _ = operation
    answer = await client.request(method, path, headers=headers)
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else ""


async def test_api1_a_key_sees_no_objects_beyond_its_scope(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, state: ShopState
) -> None:
    state.flush()
    shop = await make_secret_key(services_of(app).reader.redis, settings, Scope.INSIGHTS_READ)
    for path in ("/v1/users/u1", "/v1/users/nobody", "/v1/alerts", "/v1/alerts/a1"):
        answer = await client.get(path, headers=bearer(shop))
        assert (answer.status_code, answer.json()["code"]) == (403, "key.scope")  # whether it exists or not


async def test_api1_a_key_watches_no_events_of_other_keys(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, page_key: KeyText
) -> None:
    sender = await make_secret_key(services_of(app).reader.redis, settings, Scope.EVENTS_WRITE)
    others = await client.get(f"/v1/events/tail?key_id={page_key.key_id}", headers=bearer(sender))
    assert (others.status_code, others.json()["code"]) == (403, "key.scope")
    own = await client.get("/v1/events/tail", headers={**bearer(page_key), "origin": SHOP})
    assert (own.status_code, own.json()["code"]) == (403, "key.publishable")


@closed
async def test_api2_nothing_that_needs_a_key_answers_without_a_good_one(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    found = list(operations(app))
    assert len(found) >= 30
    for operation in found:
        assert await ask(client, operation, {}) == (401, "key.missing"), operation
        assert await ask(client, operation, bearer("sk_live_wrong")) == (401, "key.unknown"), operation
        if operation[1] in STREAMS:
            continue
        status, code = await ask(client, operation, AS_ROOT)
        assert status not in (401, 403), (operation, code)


@closed
@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://crm.example.com/x", "principal": "root"},
        {"url": "https://crm.example.com/x", "secret": "whsec_" + "A" * 44},
        {"url": "https://crm.example.com/x", "key_id": "root", "scopes": ["events:write"]},
    ],
)
async def test_api3_no_property_can_be_set_that_is_not_the_callers(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await client.post("/v1/webhooks", json=body, headers=AS_ROOT)
    assert answer.status_code == 422


async def test_api3_an_event_cannot_say_who_sent_it(client: httpx.AsyncClient, page_key: KeyText) -> None:
    headers = {**bearer(page_key), "origin": SHOP}
    claims = {"key_id": "root", "may_purchase": True, "is_publishable": False}
    answer = await client.post(EVENTS, json={**PURCHASE, **claims}, headers=headers)
    assert [error["code"] for error in answer.json()["errors"]] == ["purchase.not_allowed"]


@closed
async def test_api4_what_one_request_may_cost_is_limited(client: httpx.AsyncClient) -> None:
    too_large = await client.post(EVENTS, content=b" " * (1024 * 1024 + 1), headers=AS_ROOT)
    assert too_large.status_code == 413
    too_many = await client.post(EVENTS, json=[CART] * 1_001, headers=AS_ROOT)
    assert too_many.status_code in (400, 413)
    too_deep = await client.post(EVENTS, content=b"[" * 100_000, headers=AS_ROOT)
    assert too_deep.status_code in (400, 415)
    for path in ("/v1/trending?limit=1000000", "/v1/alerts?limit=1000000"):
        assert (await client.get(path, headers=AS_ROOT)).status_code == 422


async def test_api4_a_key_that_has_spent_its_quota_is_told_when_to_come_again(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    key = await make_secret_key(
        services_of(app).reader.redis, settings, Scope.EVENTS_WRITE, events_per_day=3, requests_per_s=0
    )
    two = [{**CART, "user_id": i} for i in range(2)]
    assert (await client.post("/v1/events", json=two, headers=bearer(key))).status_code == 503  # no Kafka
    answer = await client.post("/v1/events", json=two, headers=bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (429, "quota.spent")
    assert 1 <= int(answer.headers["retry-after"]) <= 86_400
    assert '"events-per-day";r=1;t=' in answer.headers["ratelimit"]


async def test_api5_every_function_refuses_a_key_with_all_scopes_but_its_own(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, page_key: KeyText
) -> None:
    redis = services_of(app).reader.redis
    others = {}
    for scope in Scope:
        rest = [other for other in Scope if other is not scope]
        others[scope] = await make_secret_key(redis, settings, *rest, requests_per_s=0)
    for operation in operations(app):
        scope = Scope(operation[2])
        assert await ask(client, operation, bearer(others[scope])) == (403, "key.scope"), operation
        if scope is not Scope.EVENTS_WRITE:
            in_page = {**bearer(page_key), "origin": SHOP}
            assert await ask(client, operation, in_page) == (403, "key.scope"), operation


async def test_api6_a_key_in_a_page_makes_no_revenue_unless_it_was_told_to(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, page_key: KeyText
) -> None:
    page = {"origin": SHOP}
    answer = await client.post(EVENTS, json=[CART, PURCHASE], headers={**bearer(page_key), **page})
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert (error["index"], error["code"]) == (1, "purchase.not_allowed")
    redis = services_of(app).reader.redis
    trusted = await make_page_key(redis, settings, may_purchase=True)
    server = await make_secret_key(redis, settings, Scope.EVENTS_WRITE)
    look_again(app)
    for headers in ({**bearer(trusted), **page}, bearer(server)):
        assert (await client.post(EVENTS, json=PURCHASE, headers=headers)).json()["errors"] == []


@closed
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "file:///etc/passwd",
    ],
)
async def test_api7_no_webhook_leads_inside(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.post("/v1/webhooks", json={"url": url}, headers=AS_ROOT)
    assert answer.status_code == 422
    assert answer.json()["code"].startswith("url.")
    assert url not in answer.text


async def test_api8_documentation_pages_and_traces_are_off(app: FastAPI, client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect", "/debug", "/.env", "/.git/config"):
        assert (await client.get(path)).status_code == 404
    assert app.debug is False
    for method in ("TRACE", "CONNECT", "PROPFIND"):
        assert (await client.request(method, "/v1/live")).status_code == 405
    headers = (await client.get("/v1/live")).headers
    assert headers["cache-control"] == "no-store"
    assert {"server", "x-powered-by"}.isdisjoint(headers)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_api8_a_mistake_of_ours_tells_nothing(
    app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("planted-secret-of-the-inside")

    monkeypatch.setattr(services_of(app).get(LiveReport), "get", fail)
    with caplog.at_level(logging.CRITICAL, logger="api.http.request_context"):
        answer = await client.get("/v1/live")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "planted" not in answer.text
    assert "Traceback" not in answer.text


def test_api9_every_route_needs_a_scope_and_stands_in_the_document(app: FastAPI) -> None:
    documented = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    seen = set()
    contexts: Iterable[Any] = iter_route_contexts(app.routes)
    for context in contexts:
        route = getattr(context, "original_route", context)
        path = getattr(context, "path", None) or route.path
        if isinstance(route, Mount) or path in OPEN_PATHS:
            assert path in OPEN_PATHS
            continue
        assert isinstance(route, APIRoute | Route), path
        guards = [dep.call for dep in context.dependant.dependencies if isinstance(dep.call, Guard)]
        # A documented route may ask the guard itself: whether it does is tried above (API2).
        asks_itself = context.include_in_schema and "security" in (
            getattr(route, "openapi_extra", None) or {}
        )
        assert guards or asks_itself, f"{path} has no scope"
        seen.add(path)
        if context.include_in_schema:
            plain = re.sub(r":[a-z]+}", "}", path)
            assert {(method.lower(), plain) for method in context.methods} <= documented, path
    assert len(seen) >= 30
    assert {path for _, path in documented} - OPEN_PATHS <= {re.sub(r":[a-z]+}", "}", path) for path in seen}
    assert all(path.startswith(("/v1/", "/mp/", "/debug/mp/", "/metrics")) for path in seen)


async def test_keys_are_in_no_answer_and_no_log(
    app: FastAPI,
    client: httpx.AsyncClient,
    settings: Settings,
    page_key: KeyText,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    redis = services_of(app).reader.redis
    server = await make_secret_key(redis, settings, Scope.INSIGHTS_READ, Scope.OPERATIONS_READ)
    look_again(app)
    wrong = server._replace(secret="planted0" + server.secret[8:])
    told = ""
    for key in (server, page_key, wrong):
        for path in ("/v1/live", "/v1/users/u1", "/metrics", f"/v1/trending?key={key}", f"/v1/users/{key}"):
            told += (await client.get(path, headers=bearer(key))).text
        for headers in ({}, {"origin": SHOP}):
            sent = {"content-type": "text/plain", **headers}
            told += (await client.post(EVENTS, json={"batch": [CART], "key": str(key)}, headers=sent)).text
            told += (await client.post(f"/mp/collect?api_secret={key}", json={}, headers=headers)).text
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    for key in (server, page_key, wrong):
        assert key.secret not in told
        assert key.secret not in logged
    assert str(settings.root_key) in ("None", "**********")


@closed
def test_settings_do_not_show_the_root_key(settings: Settings) -> None:
    assert ROOT_KEY not in repr(settings)
    assert ROOT_KEY not in settings.model_dump_json()
