"""A resource from outside the product: routes, keys, service, error, readiness, document and deletions."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.identity.principal import Scope
from api.registry import DuplicateResource, ResourceRegistry, find_resources
from api.resource import Documentation, Resource
from api.services import services_of
from api_keys import bearer, make_secret_key
from contracts.settings import Settings
from rule_model import GivenModel

FOLDER = Path(__file__).parent / "extension"
USER = "visitor-17"
WISH = f"/v1/wishes/{USER}"


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with an extension that this process forgets after the test."""
    monkeypatch.syspath_prepend(FOLDER)
    yield settings.model_copy(update={"extensions": "wishes"})
    for name in [name for name in sys.modules if name.partition(".")[0] == "wishes"]:
        del sys.modules[name]


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The started application; Redis has a wish."""
    app = create_app(settings, GivenModel())
    async with app.router.lifespan_context(app):
        reader = services_of(app).reader
        await reader.redis.hset(f"{settings.namespace}:wishes", USER, "p00054")
        yield app
        await reader.redis.delete(f"{settings.namespace}:wishes")


async def test_its_routes_answer_and_its_errors_are_problems(client: httpx.AsyncClient) -> None:
    answer = await client.get(WISH)
    assert (answer.status_code, answer.json()) == (200, {"user_id": USER, "product_id": "p00054"})
    assert answer.headers["cache-control"] == "no-store"
    refused = await client.get("/v1/wishes/nobody")
    assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
    assert (refused.json()["code"], refused.json()["detail"]) == ("wish.none", "this visitor wishes nothing")


async def test_its_routes_need_the_scope_they_name(
    app: FastAPI, settings: Settings, client: httpx.AsyncClient
) -> None:
    redis = services_of(app).reader.redis
    reading = await make_secret_key(redis, settings, Scope.INSIGHTS_READ)
    other = await make_secret_key(redis, settings, Scope.ALERTS_READ)
    assert (await client.get(WISH, headers=bearer(reading))).status_code == 200
    assert (await client.get(WISH, headers=bearer(other))).json()["code"] == "key.scope"
    assert (await client.get(WISH)).json()["code"] == "key.missing"


async def test_its_check_is_part_of_readiness(client: httpx.AsyncClient) -> None:
    parts = (await client.get("/readyz")).json()["parts"]
    assert parts["wishes"] == {"status": "ok", "detail": "open"}
    assert {"redis", "stream", "model", "kafka", "load"} < parts.keys()


async def test_its_service_lives_as_long_as_the_application(settings: Settings) -> None:
    app = create_app(settings, GivenModel())
    async with app.router.lifespan_context(app):
        wishes = services_of(app).get(sys.modules["wishes.api"].Wishes)
        assert wishes.is_open
    assert not wishes.is_open


async def test_it_is_documented(app: FastAPI) -> None:
    document = app.openapi()
    operation = document["paths"]["/v1/wishes/{user_id}"]["get"]
    assert operation["operationId"] == "get_wish"
    assert operation["responses"]["200"]["content"]["application/json"]["example"]["product_id"] == "p00054"
    assert operation["security"]
    assert document["tags"][-1] == {"name": "wishes", "description": "What visitors wish."}


async def test_its_traces_of_a_deleted_visitor_are_removed(
    app: FastAPI, settings: Settings, client: httpx.AsyncClient
) -> None:
    scrubbers = [one for resource in find_resources(settings) for one in resource.scrubbers]
    assert scrubbers[-1] is sys.modules["wishes.api"].scrub_wishes
    reader = services_of(app).reader
    trace = sys.modules["wishes.api"].Trace(USER, "", 0, 0, returned=False)
    assert [await scrubber(reader, trace) for scrubber in scrubbers][-1] == {"wishes": 1}
    assert (await client.get(WISH)).status_code == 404


def test_two_resources_of_one_name_are_refused() -> None:
    registry = ResourceRegistry()
    registry.add(Resource(name="wishes"))
    with pytest.raises(DuplicateResource, match="two resources named 'wishes'"):
        registry.add(Resource(name="wishes"))


def test_two_resources_that_document_one_operation_are_refused(settings: Settings) -> None:
    twice = Resource(name="twice", documentation=Documentation(answers={"get_live": {}}))
    with pytest.raises(ValueError, match="two resources document get_live"):
        create_app(settings, resources=[*find_resources(settings), twice])
