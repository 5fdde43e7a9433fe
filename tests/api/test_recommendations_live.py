"""Recommendations from events to answer: real Kafka, Redis and a worker."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.resources.recommendations.recommender import Recommender
from api.services import services_of
from contracts.settings import Settings
from event_api import client_of
from ops.stack.child import Child
from running_worker import running_worker

PATH = "/v1/recommendations"


@pytest.fixture
def installed(make_installation: Callable[..., Settings]) -> Settings:
    return make_installation(partitions=3, scoring=False)


@pytest.fixture
def worker(installed: Settings, tmp_path: Path) -> Iterator[Child]:
    with running_worker(installed, tmp_path) as child:
        yield child


async def view(client: httpx.AsyncClient, user_id: str, *products: str) -> None:
    """Sends that a visitor looked at products."""
    events = [{"event_type": "view", "user_id": user_id, "product_id": each} for each in products]
    assert (await client.post("/v1/events", json=events)).status_code == 202


async def until_first(client: httpx.AsyncClient, query: str, product_id: str) -> dict[str, Any]:
    """The first answer that begins with a product."""
    async with asyncio.timeout(60):
        while True:
            answer = (await client.get(f"{PATH}?{query}")).json()
            if answer.get("items") and answer["items"][0]["product_id"] == product_id:
                return dict(answer)
            await asyncio.sleep(0.05)


async def test_a_click_changes_the_answer_and_is_told_of_and_who_is_deleted_leaves_it(
    installed: Settings, worker: Child
) -> None:
    del worker
    app = create_app(installed)
    async with app.router.lifespan_context(app), client_of(app) as client:
        for n in range(4):
            await view(client, f"v{n}", "tea", "cup")
            await view(client, f"w{n}", "pen", "ink")
        await view(client, "once", "tea", "vase")
        await until_first(client, "product_id=tea", "cup")
        await view(client, "you", "pen")
        await until_first(client, "user_id=you&exclude_seen=1", "ink")
        await view(client, "you", "tea")
        answer = await until_first(client, "user_id=you&exclude_seen=1", "cup")
        assert (answer["answered_by"], answer["is_known"]) == ("for_you", True)

        async with asyncio.timeout(60):
            while True:
                await view(client, "you", "cup")
                shown = (await client.get("/v1/experiments")).json()["recommendations"]
                if shown.get("for_you", {}).get("arms", {}).get("main", {}).get("clicks"):
                    break
                await asyncio.sleep(0.2)

        index = services_of(app).get(Recommender).live.feed.index
        async with asyncio.timeout(60):
            while index.sessions_with("vase") != 1:
                await asyncio.sleep(0.05)
            deleted = await client.post("/v1/privacy/deletions", json={"user_id": "once"})
            assert deleted.status_code == 202
            while index.sessions_with("vase"):
                await asyncio.sleep(0.05)
        assert index.sessions_with("tea") >= 4
