"""What waits in a real Kafka is told in the live figures, and to whoever asks for a visitor in vain."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from api.resources.live import log_ends
from api.resources.live.backlog import HISTORY_MS, PartitionBacklog
from contracts.clock import wall_clock_ms
from contracts.events import EventType
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from event_api import open_client
from shop_state import ShopState
from visitor_makers import make_visitor

CART = {"event_type": "cart", "user_id": "you", "product_id": "p1"}
HISTORY_AT_MS = 1_760_000_000_000


@pytest.fixture
def settings(make_installation: Any) -> Settings:
    found: Settings = make_installation(partitions=3)
    return found


@pytest.fixture
def state(settings: Settings) -> Iterator[ShopState]:
    state = ShopState(settings)
    yield state
    state.close()


@pytest.fixture
async def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    for name in ("LIMIT_S", "FIRST_LIMIT_S"):  # a slow machine must not make it unknown
        monkeypatch.setattr(log_ends, name, 30.0)
    async with open_client(settings) as client:
        yield client


async def ask_for(client: httpx.AsyncClient, path: str = "/v1/users/you") -> str:
    answer = await client.get(path)
    assert answer.status_code == 404
    return str(answer.json()["detail"])


async def send(client: httpx.AsyncClient, count: int) -> None:
    events = [{**CART, "event_id": f"e{n}"} for n in range(count)]
    assert (await client.post("/v1/events", json=events)).status_code == 202


async def test_a_visitor_whose_events_wait_is_told_apart_from_one_of_whom_nothing_is_known(
    client: httpx.AsyncClient, state: ShopState, settings: Settings
) -> None:
    await send(client, 3)
    said = "no visitor with this id is known, or the state has expired"
    waits = f"{said}; 3 events wait to be counted in this visitor's part of the stream"
    assert await ask_for(client) == f"{waits}, and no worker is running"
    state.beat()
    state.flush()
    assert await ask_for(client) == f"{waits}: ask again"
    assert await ask_for(client, "/v1/users/you/next-action") == f"{waits}: ask again"
    assert (await ask_for(client, "/v1/customers/you")).endswith(waits.removeprefix(said) + ": ask again")
    p = partition_of("you", settings.partitions)
    other = next(f"v{n}" for n in range(99) if partition_of(f"v{n}", settings.partitions) != p)
    assert await ask_for(client, f"/v1/users/{other}") == said


async def test_history_that_is_replayed_is_told_with_how_far_it_is(
    client: httpx.AsyncClient, state: ShopState, settings: Settings
) -> None:
    await send(client, 3)
    p, cart = partition_of("you", settings.partitions), Topics(settings.topic_prefix).events[1]
    fields = {"max_event_ms": HISTORY_AT_MS, "broker_ms": wall_clock_ms(), f"off:{cart}": 1}
    state.set_meta(p, **fields)
    state.beat()
    state.flush()
    detail = await ask_for(client)
    assert "; 2 events wait to be counted" in detail
    assert detail.endswith(", where history has been replayed to 2025-10-09T08:53:20Z: ask again")
    live = (await client.get("/v1/live")).json()
    assert live["backlog"] == {"waiting": 2, "history_to": "2025-10-09T08:53:20Z"}


async def test_a_visitor_without_a_score_is_told_that_the_stream_catches_up(
    client: httpx.AsyncClient, state: ShopState, settings: Settings
) -> None:
    await send(client, 2)
    p, cart = partition_of("you", settings.partitions), Topics(settings.topic_prefix).events[1]
    state.put_visitor("you", make_visitor((EventType.CART.rank, "p1")))
    state.set_meta(p, max_event_ms=HISTORY_AT_MS, broker_ms=wall_clock_ms(), **{f"off:{cart}": 1})
    state.beat()
    state.flush()
    detail = await ask_for(client, "/v1/users/you/next-action")
    assert detail == (
        "no model has scored this visitor; 1 event waits to be counted in this visitor's part of the stream, "
        "where history has been replayed to 2025-10-09T08:53:20Z: ask again"
    )


async def test_where_all_is_counted_nothing_waits(
    client: httpx.AsyncClient, state: ShopState, settings: Settings
) -> None:
    await send(client, 1)
    p, cart = partition_of("you", settings.partitions), Topics(settings.topic_prefix).events[1]
    state.set_meta(p, max_event_ms=HISTORY_AT_MS, broker_ms=wall_clock_ms(), **{f"off:{cart}": 1})
    state.flush()
    assert (await client.get("/v1/live")).json()["backlog"] == {"waiting": 0, "history_to": None}
    assert await ask_for(client) == "no visitor with this id is known, or the state has expired"


async def test_without_kafka_the_figures_come_all_the_same(settings: Settings) -> None:
    away = settings.model_copy(update={"bootstrap": "127.0.0.1:1"})
    async with open_client(away) as client:
        answer = await client.get("/v1/live")
        assert (answer.status_code, answer.json()["backlog"]) == (200, None)
        assert await ask_for(client) == "no visitor with this id is known, or the state has expired"


@pytest.mark.parametrize(
    ("waiting", "event_ms", "broker_ms", "is_history"),
    [
        (1, 0, HISTORY_MS + 1, True),
        (1, 0, HISTORY_MS, False),
        (0, 0, HISTORY_MS + 1, False),
        (1, None, None, False),
    ],
)
def test_history_is_what_waits_behind_events_that_were_past_when_they_came(
    waiting: int, event_ms: int | None, broker_ms: int | None, is_history: bool
) -> None:
    assert PartitionBacklog(waiting, event_ms, broker_ms).is_history is is_history
