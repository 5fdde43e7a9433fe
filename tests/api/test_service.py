"""Errors, headers, health and metrics of the API as a service."""

import asyncio
import re

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from api.app import create_app
from api.resources.predictions.next_action_model import NextActionModel
from api.services import Application, services_of
from ops.stack.redis_server import RedisServer
from services import unique_settings
from shop_state import ShopState

PATHS = ("/v1/live", "/v1/trending", "/v1/users/u1", "/v1/products/p1/demand", "/v1/alerts", "/v1/models")


async def test_every_answer_carries_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/static/live.js", "/v1/live", "/no/such/path", "/livez"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/startupz"])
async def test_what_monitors_watch_answers_head_as_it_answers_get(
    client: httpx.AsyncClient, path: str
) -> None:
    head, got = await client.head(path), await client.get(path)
    assert head.status_code == got.status_code
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/secret-name", 404, "path.unknown"),
        ("GET", "/v1/live/", 404, "path.unknown"),
        ("GET", "/static/../app.py", 404, "path.unknown"),
        ("GET", "/static/%2e%2e/app.py", 404, "path.unknown"),
        ("POST", "/v1/live", 405, "method.not_allowed"),
        ("DELETE", "/v1/users/secret-name", 405, "method.not_allowed"),
        ("GET", "/v1/trending?limit=0", 422, "limit.too_small"),
        ("GET", "/v1/trending?limit=101", 422, "limit.too_large"),
        ("GET", "/v1/trending?limit=secret-name", 422, "limit.not_integer"),
        ("GET", "/v1/trending?secret-name=1", 422, "query.unknown"),
        ("GET", "/v1/live?secret-name=1", 422, "query.unknown"),
    ],
)
async def test_errors_are_problems_with_stable_codes_and_no_echo(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:storepulse:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    assert "secret-name" not in answer.text


async def test_a_request_has_one_id_in_header_and_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/no/such/path")
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert (await client.get("/no/such/path")).headers["x-request-id"] != answer.headers["x-request-id"]


async def test_the_id_that_a_caller_sends_is_kept_if_it_can_go_anywhere(client: httpx.AsyncClient) -> None:
    for good in ("abcd-EF_1", "x" * 64):
        answer = await client.get("/no/such/path", headers={"X-Request-Id": good})
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == good
    key = f"sk_live_{'a' * 12}_{'b' * 43}"
    for bad in ("short", "x" * 65, "with space", "semi;colon", "<script>x", "", key):
        answer = await client.get("/no/such/path", headers={"X-Request-Id": bad})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_startup_is_over_when_the_model_was_looked_for(client: httpx.AsyncClient, app: FastAPI) -> None:
    has_looked = services_of(app).get(NextActionModel).host.has_looked
    await has_looked.wait()
    has_looked.clear()
    starting = await client.get("/startupz")
    assert (starting.status_code, starting.json()) == (503, {"status": "starting"})
    has_looked.set()
    assert (await client.get("/startupz")).json() == {"status": "ok"}


async def test_readiness_says_that_the_end_was_asked_for(
    client: httpx.AsyncClient, app: Application, state: ShopState
) -> None:
    state.beat("w1", partitions=(0, 1, 2, 3))
    state.flush()
    assert (await client.get("/readyz")).status_code == 200
    app.lifetime.stopping = True
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
    assert answer.json()["parts"]["stream"]["status"] == "ok"


async def test_a_refused_method_says_which_are_allowed(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/live")).headers["allow"] == "GET"


async def test_two_broken_parameters_are_both_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/trending?limit=x&other=1")
    assert {(e["field"], e["rule"]) for e in answer.json()["errors"]} == {
        ("limit", "not_integer"),
        ("query", "unknown"),
    }


async def test_readiness_names_its_parts(client: httpx.AsyncClient, state: ShopState) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["redis"]["status"] == "ok"
    assert answer.json()["parts"]["stream"]["status"] == "down"

    state.beat("w1", partitions=(0, 1, 2))
    state.flush()
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"]["kafka"]["status"] == "degraded"
    assert answer.json()["parts"]["stream"] == {"status": "degraded", "detail": "1 worker, 3 of 4 partitions"}

    state.beat("w2", partitions=(3,))
    state.flush()
    answer = await client.get("/readyz")
    assert answer.json()["parts"]["stream"] == {"status": "ok", "detail": "2 workers, 4 of 4 partitions"}


async def test_a_dead_redis_is_a_503_problem_and_its_return_is_noticed(private_redis: RedisServer) -> None:
    app = create_app(unique_settings("127.0.0.1:1", private_redis.url, partitions=4))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert (await client.get("/v1/live")).status_code == 200
        private_redis.kill()
        # An answer may still be kept for half a second, so other paths are asked.
        for path in PATHS[2:]:
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["code"] == "redis.unavailable"
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        parts = ready.json()["parts"]
        assert parts.pop("recommendations")["status"] in ("ok", "degraded")  # by their age
        assert {name: part["status"] for name, part in parts.items()} == {
            "redis": "down",
            "stream": "down",
            "model": "degraded",
            "kafka": "degraded",
            "load": "ok",
        }
        assert (await client.get("/livez")).json() == {"status": "ok"}
        private_redis.restart()
        for path in (*PATHS[:2], *PATHS[3:]):
            assert (await client.get(path)).status_code == 200


async def test_reads_pile_up_behind_a_busy_redis_and_are_all_answered(private_redis: RedisServer) -> None:
    app = create_app(unique_settings("127.0.0.1:1", private_redis.url, partitions=4))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        Redis.from_url(private_redis.url) as redis,
    ):
        await client.get("/v1/live")
        await redis.client_pause(500)
        paths = ("/v1/alerts", "/v1/alerts/unknown")
        answers = await asyncio.gather(*[client.get(path) for path in paths for _ in range(200)])
        assert [answer.status_code for answer in answers] == [200] * 200 + [404] * 200


async def test_the_api_starts_without_redis() -> None:
    app = create_app(unique_settings("127.0.0.1:1", "redis://127.0.0.1:1/0"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        for path in PATHS:
            assert (await client.get(path)).status_code == 503
        assert (await client.get("/")).status_code == 200


async def test_metrics_count_by_route_template_and_hold_no_ids(client: httpx.AsyncClient) -> None:
    await client.get("/v1/users/visitor-77")
    await client.get("/v1/products/product-88/demand")
    await client.get("/no/such/place")
    await client.request("BREW", "/v1/live")
    text = (await client.get("/metrics")).text
    assert (
        'storepulse_api_requests_total{method="GET",route="/v1/users/{user_id:path}",status="404"} 1.0'
        in text
    )
    assert 'route="/v1/products/{product_id:path}/demand",status="200"' in text
    assert 'route="unmatched",status="404"' in text
    assert 'method="other"' in text
    assert re.search(r"storepulse_api_request_seconds_bucket\{le=\"0\.05\",route=\"/v1/users", text)
    for secret in ("visitor-77", "product-88", "place", "BREW"):
        assert secret not in text


async def test_each_app_counts_for_itself(app: FastAPI) -> None:
    other = create_app(services_of(app).settings)
    async with other.router.lifespan_context(other):
        assert services_of(other).metrics is not services_of(app).metrics


async def test_the_schema_describes_every_path(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/v1/live", "/v1/trending", "/livez", "/readyz", "/metrics"} <= set(paths)
    assert {"/v1/alerts", "/v1/models", "/v1/predict/next-action"} <= set(paths)
    assert "/v1/users/{user_id}/next-action" in paths
    assert (await client.get("/docs")).status_code == 404
