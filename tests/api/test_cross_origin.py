"""Which pages of other origins may send events, read the answers, and load the snippet."""

import httpx
import pytest
from fastapi import FastAPI

from api.http.cross_origin import SNIPPET_PATH
from api.identity.blocked_origins import FORGET_S, MAX_REPORTED, BlockedOrigins
from api.identity.key_store import KeyStore
from api.identity.key_text import KeyText
from api.identity.principal import Scope
from api.registry import find_resources
from api.services import services_of
from api_keys import SHOP, bearer, look_again, make_page_key, make_secret_key
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from shop_state import ShopState

PREFLIGHT = {
    "origin": SHOP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}
EVIL = "https://evil.example"

BROWSER_PATHS = sorted(path for one in find_resources(Settings()) for path in one.browser_paths)


@pytest.fixture(autouse=True)
def clean(state: ShopState) -> ShopState:
    """Removes the keys after the test."""
    return state


@pytest.fixture
async def page_key(app: FastAPI, settings: Settings) -> KeyText:
    return await make_page_key(services_of(app).reader.redis, settings)


def cors_headers(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.usefixtures("page_key")
@pytest.mark.parametrize("path", BROWSER_PATHS)
async def test_a_page_that_a_key_lists_may_send_events(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.options(path, headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    headers = answer.headers
    assert headers["access-control-allow-origin"] == SHOP
    assert headers["access-control-allow-methods"] == "POST"
    assert {"authorization", "content-type"} <= set(
        headers["access-control-allow-headers"].lower().split(", ")
    )
    assert headers["access-control-max-age"] == "3600"
    assert headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in headers
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("page_key")
@pytest.mark.parametrize("origin", [EVIL, "null", "http://shop.example", f"{SHOP}.evil.example", "*"])
@pytest.mark.parametrize("path", ["/v1/events", "/mp/collect"])
async def test_a_preflight_of_another_origin_gets_no_cors_headers(
    client: httpx.AsyncClient, path: str, origin: str
) -> None:
    answer = await client.options(path, headers={**PREFLIGHT, "origin": origin})
    assert cors_headers(answer) == []
    assert answer.headers["vary"] == "Origin"
    assert answer.status_code == 405


@pytest.mark.usefixtures("page_key")
@pytest.mark.parametrize("path", ["/v1/live", "/v1/alerts", "/v1/users/u1", "/metrics", "/v1/webhooks", "/"])
async def test_what_is_read_is_for_no_other_page(client: httpx.AsyncClient, path: str) -> None:
    asked = {**PREFLIGHT, "access-control-request-method": "GET"}
    assert cors_headers(await client.options(path, headers=asked)) == []
    assert cors_headers(await client.get(path, headers={"origin": SHOP})) == []


async def test_the_page_may_read_the_answer_whatever_it_is(
    client: httpx.AsyncClient, page_key: KeyText
) -> None:
    for key, status in ((page_key, 400), ("pk_live_wrong", 401)):
        answer = await client.post("/v1/events", json=[], headers={**bearer(key), "origin": SHOP})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "retry-after" in answer.headers["access-control-expose-headers"].lower()
        assert answer.headers["vary"] == "Origin"
    answer = await client.post("/v1/events", json=[], headers={**bearer(page_key), "origin": EVIL})
    assert (answer.status_code, cors_headers(answer)) == (403, [])


async def test_a_revoked_or_expired_key_lets_no_page_in(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, page_key: KeyText
) -> None:
    redis = services_of(app).reader.redis
    await make_page_key(redis, settings, origins=("https://past.example",), expires_ms=wall_clock_ms() - 1)
    past = await client.options("/v1/events", headers={**PREFLIGHT, "origin": "https://past.example"})
    assert cors_headers(past) == []
    assert cors_headers(await client.options("/v1/events", headers=PREFLIGHT)) != []
    store = KeyStore(redis, Keys(settings.namespace, settings.partitions))
    await store.revoke(page_key.key_id, wall_clock_ms())
    look_again(app)
    assert cors_headers(await client.options("/v1/events", headers=PREFLIGHT)) == []


@pytest.mark.parametrize("settings", [{"allowed_origins": "http://localhost:3000"}], indirect=True)
async def test_the_setting_for_development_ends_with_the_first_key(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    page = {**PREFLIGHT, "origin": "http://localhost:3000"}
    assert (await client.options("/v1/events", headers=page)).status_code == 204
    await make_secret_key(services_of(app).reader.redis, settings, Scope.INSIGHTS_READ)
    look_again(app)
    assert cors_headers(await client.options("/v1/events", headers=page)) == []


async def test_a_page_in_development_that_is_refused_is_named_once_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for origin in ("http://localhost:3000", "http://localhost:3000", EVIL, "x://localhost:3000"):
        await client.options("/v1/events", headers={**PREFLIGHT, "origin": origin})
    own = {"origin": "http://localhost:8000", "host": "localhost:8000"}
    await client.post("/v1/events", headers=own, json={})
    assert told(caplog) == [
        "pages of http://localhost:3000 may not send events; to allow them, restart with "
        "STOREPULSE_ALLOWED_ORIGINS=http://localhost:3000 in the environment or in .env"
    ]


@pytest.mark.usefixtures("page_key")
async def test_a_page_that_no_key_lists_is_named_with_the_command_that_makes_one(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for origin in ("https://www.shop.example", "http://www.shop.example"):
        await client.options("/v1/events", headers={**PREFLIGHT, "origin": origin})
    assert told(caplog) == [
        "pages of https://www.shop.example may not send events; if they are yours: "
        "storepulse keys create NAME --publishable --origin https://www.shop.example"
    ]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [record for record in caplog.records if record.name == "api.identity.blocked_origins"]
    return [record.getMessage() for record in records]


def test_the_origins_that_are_told_of_are_few_and_an_hour_later_told_again() -> None:
    now_s, heard = [0.0], list[str]()
    blocked = BlockedOrigins(lambda: now_s[0])
    blocked.listener = heard.append
    for n in range(MAX_REPORTED + 5):
        blocked.report(f"https://s{n}.example", needs_keys=True)
    assert len(heard) == MAX_REPORTED
    now_s[0] = FORGET_S
    blocked.report("https://s0.example", needs_keys=True)
    assert len(heard) == MAX_REPORTED + 1


async def test_only_the_snippet_may_be_loaded_by_pages_of_others(client: httpx.AsyncClient) -> None:
    snippet = await client.get(SNIPPET_PATH, headers={"origin": EVIL})
    assert snippet.status_code == 200
    assert snippet.headers["cross-origin-resource-policy"] == "cross-origin"
    assert snippet.headers["access-control-allow-origin"] == "*"
    for path in ("/static/live.js", "/v1/live", "/"):
        answer = await client.get(path, headers={"origin": EVIL})
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert cors_headers(answer) == []
