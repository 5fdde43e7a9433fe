"""What comes twice and may come once is refused, on every path."""

import httpx
import pytest

from event_api import CART, DRY, JSON, WORDS, check_problem


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/trending?limit=1&limit=2"),
        ("GET", "/v1/trending?limit=1&limit=1"),
        ("GET", "/v1/trending?limit=1&%6Cimit=2"),
        ("GET", "/v1/trending?limit=1&limit"),
        ("GET", "/v1/alerts?limit=5&kind=churn_risk&limit=6"),
        ("GET", "/v1/alerts/stream?kind=churn_risk&kind=cart_abandoned"),
        ("GET", f"/v1/products/p1/demand?{WORDS}=1&{WORDS}=2"),
        ("POST", "/v1/events?validate=1&validate=0"),
        ("POST", "/v1/privacy/deletions?x&x"),
        ("DELETE", "/v1/webhooks/w1?a=1&a=1"),
        ("GET", "/v1/users/u1?a=1&a=1"),
    ],
)
async def test_a_parameter_comes_once(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    problem = check_problem(answer, 422, "query.repeated")
    assert [(error["field"], error["rule"]) for error in problem["errors"]] == [("query", "repeated")]


async def test_different_parameters_may_have_one_value(client: httpx.AsyncClient) -> None:
    query = "from=2025-01-01T00:00:00Z&to=2025-01-02T00:00:00Z"
    assert (await client.get(f"/v1/products/p1/demand?{query}")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/privacy/deletions", b'{"user_id": "kept", "user_id": "deleted"}'),
        ("/v1/privacy/deletions", b'{"user_id": "same", "user_id": "same"}'),
        ("/v1/privacy/deletions", rb'{"user_id": "kept", "us\u0065r_id": "deleted"}'),
        ("/v1/privacy/deletions", b'{"user_id": "kept", "user_id": "x:y", "a": "\\u003a"}'),
        ("/v1/webhooks", b'{"url": "https://a.example.com/", "url": "https://b.example.com/"}'),
        ("/v1/webhooks", b'{"url": "https://a.example.com/", "filter": {"kinds": ["a"], "kinds": ["b"]}}'),
        ("/v1/webhooks", b'{"url": "https://a.example.com/", "x": [[{"a": 1, "a": 2}]]}'),
        ("/v1/predict/next-action", b'{"actions": ["view"], "actions": ["cart"]}'),
        ("/v1/predict/next-action", b'{"actions": [{"type": "view", "type": "cart"}]}'),
        ("/v1/alerts/a1/snooze", b'{"minutes": 5, "minutes": 500}'),
    ],
)
async def test_a_field_of_json_comes_once(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    check_problem(await client.post(path, content=body, headers=JSON), 400, "body.repeated_field")


async def test_json_without_repetition_is_judged_by_its_route(client: httpx.AsyncClient) -> None:
    for body in (
        b"{}",
        b'{"user_id": 5}',
        rb'{"user_id": "\u003a", "b": "\u003A"}',
        rb'{"user_id": "\ud83d"}',
    ):
        answer = await client.post("/v1/privacy/deletions", content=body, headers=JSON)
        assert answer.status_code == 422
    for body in (b"{", b"\xff", b"{" * 2_000):
        answer = await client.post("/v1/privacy/deletions", content=body, headers=JSON)
        check_problem(answer, 400, "body.not_json")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Content-Type", ("application/json", "application/x-ndjson")),
        ("content-encoding", ("gzip", "identity")),
        ("X-Sent-At", ("1760000000000", "1760000000001")),
        ("Idempotency-Key", ("a", "b")),
        ("Origin", ("http://localhost", "https://evil.example")),
        ("Last-Event-Id", ("1-1", "2-1")),
    ],
)
async def test_a_header_has_one_value(client: httpx.AsyncClient, name: str, values: tuple[str, str]) -> None:
    two = [(name, value) for value in values]
    for path in (DRY, "/v1/privacy/deletions", "/v1/track"):
        problem = check_problem(await client.post(path, content=b"{}", headers=two), 400, "header.repeated")
        assert name.lower() in problem["detail"]


async def test_a_header_may_say_the_same_twice_and_lists_may_go_on(client: httpx.AsyncClient) -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("content-type", "application/json"),
        ("Accept", "application/json"),
        ("Accept", "*/*"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-For", "203.0.113.8"),
    ]
    assert (await client.post(DRY, json=CART, headers=headers)).status_code == 200
