"""More events than Kafka takes: it is refused at once, and memory stays as it is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.resources.events.in_flight import InFlightEvents
from event_api import CART, JSON, PATH, check_problem, open_client
from services import unique_settings


async def test_what_is_too_much_takes_no_room() -> None:
    in_flight = InFlightEvents(10, 1_000, ApiMetrics())
    in_flight.add(10, 0)
    for more in ((1, 0), (0, 1_001)):
        with pytest.raises(Problem, match="too many events are waiting") as busy:
            in_flight.add(*more)
        assert busy.value.status == 503
        assert busy.value.headers is not None
        assert busy.value.headers["Retry-After"] in {"1", "2", "3", "4", "5"}
    assert (in_flight.n_events, in_flight.n_bytes) == (10, 0)
    in_flight.remove(10, 0)
    in_flight.add(10, 1_000)
    in_flight.remove(10, 1_000)
    with pytest.raises(Problem, match="accepts 10 at a time") as never:
        in_flight.add(11, 0)
    assert (never.value.status, never.value.headers) == (413, None)


async def await_metric(client: httpx.AsyncClient, line: str) -> None:
    async with asyncio.timeout(20):
        while line not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def silent_broker() -> AsyncIterator[str]:
    """HOST:PORT of something that takes connections and never says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.read()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()


async def test_while_kafka_is_silent_the_rest_is_refused_at_once(redis_url: str) -> None:
    events = [{**CART, "event_id": f"e{n}"} for n in range(600)]
    async with silent_broker() as bootstrap:
        settings = unique_settings(bootstrap, redis_url, api_max_waiting_events=1_000)
        async with open_client(settings) as client:
            waiting = asyncio.create_task(client.post(PATH, json=events))
            await await_metric(client, "storepulse_api_waiting_events 600.0")
            answer = await client.post(PATH, json=events)
            check_problem(answer, 503, "collector.busy")
            assert not waiting.done(), "it was not said at once"
            assert (await client.post(f"{PATH}?validate=1", json=events)).status_code == 200
            check_problem(await waiting, 503, "kafka.unavailable")
            await await_metric(client, "storepulse_api_waiting_events 0.0")
            await await_metric(client, "storepulse_api_waiting_bytes 0.0")
            metrics = (await client.get("/metrics")).text
    assert 'storepulse_api_events_total{code="collector.busy",result="unacknowledged"} 600.0' in metrics


@pytest.mark.parametrize("settings", [{"api_max_waiting_bytes": 1024 * 1024}], indirect=True)
async def test_bodies_that_are_being_read_have_their_share(client: httpx.AsyncClient) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b" " * 700_000
        begun.set()
        await go_on.wait()
        yield b"{}"

    reading = asyncio.create_task(client.post(PATH, content=slow(), headers=JSON))
    await begun.wait()
    answer = await client.post(PATH, content=b" " * 400_000, headers=JSON)
    check_problem(answer, 503, "collector.busy")
    go_on.set()
    check_problem(await reading, 400, "events.rejected")
    assert (await client.post(PATH, content=b" " * 900_000, headers=JSON)).json()["code"] == "body.empty"
