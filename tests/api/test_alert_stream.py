"""`/v1/alerts/stream` from a real server process on a real Redis: what clients see, whatever happens."""

import asyncio
import contextlib
import random
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from alert_makers import make_alert, make_expired
from api_nursery import ApiNursery
from contracts.alerts import CART_ABANDONED, Severity
from contracts.settings import Settings
from ops.stack.ports import pick_port
from shop_state import ShopState
from sse_client import Message, SseClient, read_messages
from stock_alerts import make_stock_alert, registered

STREAM = "/v1/alerts/stream"
TIMEOUT_S = 30.0
NO_LIMIT = aiohttp.ClientTimeout(total=None)


@pytest.fixture
def nursery(settings: Settings) -> Iterator[ApiNursery]:
    with ApiNursery(settings.model_copy(update={"api_port": pick_port()})) as nursery:
        nursery.start()
        yield nursery


@pytest.fixture
async def session(nursery: ApiNursery) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(nursery.url, timeout=NO_LIMIT, connector=connector) as session:
        yield session


def publish(state: ShopState, *numbers: int, **fields: Any) -> None:
    state.publish_alerts(make_alert(number, **fields) for number in numbers)
    state.flush()


@contextlib.asynccontextmanager
async def listen(
    session: aiohttp.ClientSession, query: str = "", **headers: str
) -> AsyncIterator[AsyncIterator[Message]]:
    async with session.get(f"{STREAM}{query}", headers=headers) as response:
        assert response.status == 200, await response.text()
        yield read_messages(response)


async def take(messages: AsyncIterator[Message], number: int) -> list[Message]:
    """The next so many events; those that only move the id are left out."""
    found: list[Message] = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(found) < number:
            message = await anext(messages)
            if message.event != "cursor":
                found.append(message)
    return found


async def users(messages: AsyncIterator[Message], number: int) -> list[str]:
    return [message.data["user_id"] for message in await take(messages, number)]


async def wait_for(predicate: Any, what: str) -> None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not predicate():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited {TIMEOUT_S:g} s for {what}")


async def test_a_step_arrives_as_the_pull_shows_it_under_its_cursor(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    publish(state, 0)
    async with session.get(f"{STREAM}?after=0-0") as response:
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert await response.content.readline() == b"retry: 2000\n"
        assert await response.content.readline() == b"id: 0-0\n"
        messages = read_messages(response)
        assert (await anext(messages)).data == {"id": "0-0"}
        (message,) = await take(messages, 1)
    async with session.get("/v1/alerts") as pulled:
        page = await pulled.json()
    assert (message.event, message.event_id, message.data) == ("alert", page["next"], page["alerts"][0])


async def test_without_an_id_a_stream_begins_now_and_with_one_behind_it(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    publish(state, 0, 1)
    async with listen(session) as messages:
        assert (await anext(messages)).data["id"] != "0-0"
        publish(state, 2)
        (third,) = await take(messages, 1)
        assert third.data["user_id"] == "u2"
    async with listen(session, "?after=0-0") as messages:
        first = (await take(messages, 1))[0].event_id
    assert first is not None
    async with listen(session, f"?after={first}") as messages:
        assert await users(messages, 2) == ["u1", "u2"]
    header = {"Last-Event-ID": str(third.event_id)}
    async with session.get(f"{STREAM}?after={first}", headers=header) as response:
        publish(state, 3)
        assert await users(read_messages(response), 1) == ["u3"], "the header is newer than the address"


async def test_filters_leave_out_the_rest_but_move_the_id_past_it(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    publish(state, 0, severity=Severity.LOW, cart_value_minor=900)
    publish(state, 1, severity=Severity.MEDIUM, kind=CART_ABANDONED, session=1)
    publish(state, 2)
    state.publish_alerts([make_expired(make_alert(2))])
    publish(state, 3, cart_value_minor=None, currency=None)
    for query, expected in (
        ("kind=cart_abandoned", ["u1"]),
        ("severity=low", ["u0"]),
        ("min_severity=medium", ["u1", "u2", "u2", "u3"]),
        ("min_value_minor=901", ["u1", "u2", "u2"]),
        ("state=expired", ["u2"]),
        ("segment=new", ["u1"]),
    ):
        async with listen(session, f"?after=0-0&{query}") as messages:
            assert await users(messages, len(expected)) == expected, query
    async with session.get("/v1/alerts") as pulled:
        end = (await pulled.json())["next"]
    async with listen(session, "?after=0-0&severity=low") as messages:
        async with asyncio.timeout(TIMEOUT_S):
            while (await anext(messages)).event_id != end:
                pass


async def test_an_id_that_is_no_longer_kept_is_reset_to_the_oldest(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    publish(state, *range(6))
    async with listen(session, "?after=0-0") as messages:
        first = (await take(messages, 6))[0].event_id
    state.trim_alerts(2)
    state.flush()
    async with session.get("/v1/alerts?limit=1") as pulled:
        oldest = (await pulled.json())["next"]
    for lost in (first, "99999999999999-0"):
        async with listen(session, **{"Last-Event-ID": str(lost)}) as messages:
            reset, *alerts = await take(messages, 3)
        assert (reset.event, reset.data["code"], reset.data["oldest"]) == ("reset", "cursor.lost", oldest)
        assert [alert.data["user_id"] for alert in alerts] == ["u4", "u5"]


async def test_a_log_that_is_lost_under_an_open_stream_is_a_reset(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    publish(state, 0)
    async with listen(session, "?after=0-0") as messages:
        await take(messages, 1)
        state.forget_alerts()
        publish(state, 1)
        reset, alert = await take(messages, 2)
    assert (reset.event, alert.data["user_id"]) == ("reset", "u1")


async def test_a_snooze_spares_subscribers_this_visitor_and_kind_until_it_is_undone(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    publish(state, 0)
    async with listen(session, "?after=0-0") as messages:
        await take(messages, 1)
        async with session.post("/v1/alerts/id0/snooze", json={"for_s": 600}) as answer:
            assert answer.status == 200, await answer.text()
        state.publish_alerts(
            [
                make_expired(make_alert(0)),
                make_alert(1),
                make_alert(2, user_id="u0", kind=CART_ABANDONED),
            ]
        )
        state.flush()
        assert [message.data["alert_id"] for message in await take(messages, 2)] == ["id1", "id2"]
        async with session.delete("/v1/alerts/id0/snooze") as answer:
            assert answer.status == 200
        publish(state, 3, user_id="u0")
        assert [message.data["alert_id"] for message in await take(messages, 1)] == ["id3"]
    async with session.get("/v1/alerts?state=expired") as pulled:
        assert [alert["alert_id"] for alert in (await pulled.json())["alerts"]] == ["id0"]


async def test_a_ticket_opens_one_stream(session: aiohttp.ClientSession, state: ShopState) -> None:
    async with session.post("/v1/stream-tickets") as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
        ticket = (await answer.json())["ticket"]
    publish(state, 0)
    async with listen(session, f"?ticket={ticket}&after=0-0") as messages:
        assert await users(messages, 1) == ["u0"]
    for bad in (ticket, "never-given"):
        async with session.get(f"{STREAM}?ticket={bad}") as response:
            assert (response.status, (await response.json())["code"]) == (401, "ticket.invalid")
            assert "Bearer" in response.headers["WWW-Authenticate"]
            assert bad not in await response.text()


@pytest.mark.parametrize("settings", [{"stream_clients": 3, "stream_clients_per_key": 3}], indirect=True)
async def test_over_the_number_of_streams_the_next_is_told_when_to_come(
    session: aiohttp.ClientSession,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(listen(session))
        async with session.get(STREAM) as response:
            assert (response.status, (await response.json())["code"]) == (429, "streams.too_many")
            assert int(response.headers["Retry-After"]) > 0
    await wait_for_answer(session, 200)


async def wait_for_answer(session: aiohttp.ClientSession, status: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            async with session.get(STREAM) as response:
                if response.status == status:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("settings", [{"stream_max_s": 0.5}], indirect=True)
async def test_an_old_stream_ends_and_its_client_goes_on(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    client = SseClient(session, STREAM, "0-0")
    task = asyncio.create_task(client.run())
    publish(state, 0)
    await wait_for(lambda: client.n_opened >= 3, "a third stream")
    publish(state, 1)
    await wait_for(lambda: len(client.record_ids) == 2, "both alerts")
    task.cancel()
    assert client.record_ids == ["id0-firing", "id1-firing"]


async def test_a_signal_ends_open_streams_in_a_moment(
    session: aiohttp.ClientSession, nursery: ApiNursery
) -> None:
    async with session.get(STREAM) as response:
        await response.content.readline()
        await asyncio.to_thread(nursery.end, signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT_S):
            await response.content.read()  # to a proper end: a connection that is cut would raise


async def test_a_hundred_clients_see_every_alert_once_and_in_order_over_twenty_restarts(
    session: aiohttp.ClientSession, nursery: ApiNursery, state: ShopState
) -> None:
    clients = [SseClient(session, STREAM, "0-0") for _ in range(100)]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    draw = random.Random(1)
    published = 0

    async def publish_on() -> None:
        nonlocal published
        while True:
            n = draw.randint(1, 8)
            await asyncio.to_thread(publish, state, *range(published, published + n))
            published += n
            await asyncio.sleep(draw.uniform(0, 0.25))

    publishing = asyncio.create_task(publish_on())
    for restart in range(20):
        await wait_for(lambda: all(c.n_opened > restart for c in clients), "everybody to be back")  # noqa: B023
        await asyncio.sleep(draw.uniform(0, 0.3))  # anywhere in the life of a stream
        await asyncio.to_thread(nursery.end, (signal.SIGKILL, signal.SIGTERM)[restart % 2])
        await asyncio.sleep(draw.uniform(0, 0.1))
        await asyncio.to_thread(nursery.start)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    expected = [f"id{number}-firing" for number in range(published)]
    await wait_for(lambda: all(len(c.record_ids) >= published for c in clients), "the last alerts")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert published > 100
    assert [client.record_ids for client in clients] == [expected] * 100
    assert [client.resets for client in clients] == [[]] * 100


@pytest.mark.parametrize("settings", [{"stream_send_timeout_s": 2.0}], indirect=True)
async def test_twenty_clients_that_never_read_leave_no_task_and_no_memory(
    session: aiohttp.ClientSession, nursery: ApiNursery, state: ShopState
) -> None:
    state.publish_alerts(make_alert(number) for number in range(6_000))
    state.flush()
    before = await asyncio.to_thread(nursery.debug)
    deaf = [open_deaf(nursery.url) for _ in range(20)]
    slowest_s = 0.0
    loop = asyncio.get_running_loop()

    async def is_open(number: int) -> bool:
        nonlocal slowest_s
        started_s = loop.time()
        async with session.get("/metrics") as response:  # answered meanwhile
            text = await response.text()
        slowest_s = max(slowest_s, loop.time() - started_s)
        return f"storepulse_api_sse_clients {number:.1f}" in text

    async with asyncio.timeout(TIMEOUT_S):
        while not await is_open(20):
            await asyncio.sleep(0.05)
        while not await is_open(0):
            await asyncio.sleep(0.05)
    async with session.get("/metrics") as response:
        assert "storepulse_api_sse_dropped_total 20.0" in await response.text()
    after: dict[str, Any] = {}

    def is_as_before() -> bool:
        after.update(nursery.debug())
        return bool(
            after["tasks"] <= before["tasks"] + 1 and after["connections"] <= before["connections"] + 1
        )

    async with asyncio.timeout(TIMEOUT_S):
        while not await asyncio.to_thread(is_as_before):
            await asyncio.sleep(0.1)
    grown_mb = (after["rss_bytes"] - before["rss_bytes"]) / 1e6
    assert grown_mb < 40, f"{grown_mb:.0f} MB more than before"
    assert slowest_s < TIMEOUT_S
    for sock in deaf:
        sock.close()


def open_deaf(url: str) -> socket.socket:
    """A client that asks for everything kept and reads nothing."""
    host, _, port = url.removeprefix("http://").partition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.connect((host, int(port)))
    sock.sendall(f"GET {STREAM}?after=0-0 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return sock


@pytest.mark.parametrize(
    ("query", "header", "code"),
    [
        ("after=secret-name", None, "after.not_cursor"),
        ("", "secret-name", "last_event_id.not_cursor"),
        ("", "1-99999999999999999999", "last_event_id.not_cursor"),
        ("kind=secret-name", None, "kind.not_allowed"),
        ("min_severity=secret-name", None, "min_severity.not_allowed"),
        ("min_value_minor=0", None, "min_value_minor.too_small"),
        ("min_value_minor=1.5", None, "min_value_minor.not_integer"),
        ("segment=secret-name", None, "segment.not_allowed"),
        ("limit=3", None, "query.unknown"),
    ],
)
async def test_a_bad_parameter_is_named_before_the_stream_begins(
    client: Any, query: str, header: str | None, code: str
) -> None:
    headers = {} if header is None else {"Last-Event-ID": header}
    answer = await client.get(f"{STREAM}?{query}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "secret-name" not in answer.text


async def test_alerts_about_products_come_too_though_their_kind_is_known_to_the_workers_only(
    session: aiohttp.ClientSession, state: ShopState
) -> None:
    with registered():
        publish(state, 0)
        state.publish_alerts([make_stock_alert(1), make_stock_alert(2)])
        state.flush()
    async with listen(session, "?after=0-0&subject=product:p2") as messages:
        (found,) = await take(messages, 1)
    assert found.data["subject"] == {"kind": "product", "id": "p2"}
    assert found.data["detail"] == {"stock": 3, "cover_days": 1.5}
