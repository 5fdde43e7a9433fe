"""Clients that do not send what they said they would: they wait, and nobody waits for them."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from api.identity.principal import Scope
from api_keys import SHOP, bearer, make_page_key, make_secret_key
from api_processes import ApiProgram, read_answer, send_head
from contracts.settings import Settings
from services import unique_settings, wait_until

CLIENTS = 560
"""More than one process takes requests."""
AT_ONCE = 16
"""Slow bodies that it waits for from one address."""
BEGUN = ("Content-Type: application/json", "Content-Length: 5000")
JSON = {"content-type": "application/json"}
Serve = Callable[..., ApiProgram]


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Iterator[Serve]:
    """`serve(...)`: the running program with these settings."""
    with contextlib.ExitStack() as running:

        def start(bootstrap: str = "127.0.0.1:1", **overrides: object) -> ApiProgram:
            settings = unique_settings(bootstrap, redis_url, partitions=4, **overrides)
            return running.enter_context(ApiProgram(settings, tmp_path))

        yield start


@pytest.fixture
def silent_kafka() -> Iterator[str]:
    """HOST:PORT of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def make_keys(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """Headers of a page that sends events, and of somebody who reads."""

    async def make() -> tuple[dict[str, str], dict[str, str]]:
        async with Redis.from_url(settings.redis_url) as redis:
            page = await make_page_key(redis, settings)
            reader = await make_secret_key(redis, settings, Scope.INSIGHTS_READ, requests_per_s=0)
        return {**bearer(page), "Origin": SHOP}, bearer(reader)

    return asyncio.run(make())


def code_of(client: socket.socket) -> str:
    answer = read_answer(client)
    assert answer.status_code == 408
    return str(answer.json()["code"])


def await_load(client: httpx.Client, n_requests: int) -> str:
    """Waits until so many requests are under way; what readiness calls that."""
    load = {"detail": "", "status": ""}

    def is_there() -> bool:
        load.update(client.get("/readyz").json()["parts"]["load"])
        return load["detail"].split()[0] == str(n_requests)

    wait_until(is_there, 10, f"{n_requests} requests under way")
    return load["status"]


def test_five_hundred_unfinished_bodies_keep_no_reader_waiting(serve: Serve) -> None:
    program = serve()
    page, reader = make_keys(program.settings)
    as_page = [f"{name}: {value}" for name, value in page.items()]
    with contextlib.ExitStack() as opened, httpx.Client(base_url=program.url, headers=reader) as client:
        wait_until(lambda: client.get("/v1/live").status_code == 200, 10, "the key to be known")
        slow = [opened.enter_context(program.open()) for _ in range(CLIENTS)]
        for each in slow:
            send_head(each, "POST /v1/events", *as_page, *BEGUN)
            each.sendall(b"[")
        assert {client.get("/v1/live").status_code for _ in range(100)} == {200}
        told = Counter(code_of(each) for each in slow)
        assert {client.get("/v1/live").status_code for _ in range(10)} == {200}
    assert told == {"body.too_slow": CLIENTS - AT_ONCE, "body.timeout": AT_ONCE}


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GET /v1/live", BEGUN),
        ("POST /v1/predict/next-action", BEGUN),
        ("POST /v1/events", ("Content-Type: text/plain", "Transfer-Encoding: chunked")),
        ("POST /v1/t", (*BEGUN, "Expect: 100-continue")),
        ("POST /no/such/path", BEGUN),
    ],
)
def test_a_request_that_waits_for_its_client_has_no_place(
    serve: Serve, line: str, headers: tuple[str, ...]
) -> None:
    program = serve(api_max_requests=2)
    with contextlib.ExitStack() as opened, httpx.Client(base_url=program.url) as client:
        for _ in range(AT_ONCE):
            send_head(opened.enter_context(program.open()), line, *headers)
            await_load(client, 0)
        assert {client.get("/v1/live").status_code for _ in range(50)} == {200}


def test_a_body_that_comes_in_pieces_is_taken(serve: Serve) -> None:
    program = serve(api_max_requests=2)
    body = b'{"event_type": "view", "user_id": "u1", "product_id": "p1"}'
    with program.open() as client:
        length = f"Content-Length: {len(body)}"
        send_head(client, "POST /v1/events?validate=1", "Connection: close", length)
        for n in range(0, len(body), 4):
            client.sendall(body[n : n + 4])
            program.get("/livez")
        answer = read_answer(client)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


def test_a_body_that_is_there_when_all_places_are_taken_is_told_to_come_again(
    serve: Serve, silent_kafka: str
) -> None:
    program = serve(silent_kafka, api_max_requests=2)
    event = b'{"event_type": "view", "user_id": "u1", "product_id": "p1"}'
    length = f"Content-Length: {len(event)}"
    with contextlib.ExitStack() as opened, httpx.Client(base_url=program.url) as client:
        first, second, third = [opened.enter_context(program.open()) for _ in range(3)]
        for each in (first, second, third):
            send_head(each, "POST /v1/events", "Connection: close", length)
            each.sendall(event[:-1])
            await_load(client, 0)
        assert client.get("/v1/live").status_code == 200
        for each in (first, second):
            each.sendall(event[-1:])
        assert await_load(client, 2) == "degraded"  # until Kafka is given up, which is soon
        third.sendall(event[-1:])
        busy = read_answer(third)
        assert (busy.status_code, busy.json()["code"]) == (503, "server.busy")
        assert busy.headers["retry-after"] == "1"
        reading = client.get("/v1/live")
        assert (reading.status_code, reading.json()["code"]) == (503, "server.busy")
        assert client.get("/livez").status_code == 200
    wait_until(lambda: program.get("/v1/live").status_code == 200, 20, "the places to be free again")
