"""An API on real Redis with state of its own."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from contracts.settings import Settings
from rule_model import GivenModel
from services import unique_settings
from shop_state import ShopState

NO_KAFKA = "127.0.0.1:1"
"""No Kafka: reads do not need it."""


@pytest.fixture
def settings(redis_url: str, request: pytest.FixtureRequest) -> Settings:
    """Settings with a namespace of their own; an indirect parameter is a dict of overrides."""
    return unique_settings(NO_KAFKA, redis_url, **{"partitions": 4, **getattr(request, "param", {})})


@pytest.fixture
def state(settings: Settings) -> Iterator[ShopState]:
    """A builder of state; its keys are removed after the test."""
    state = ShopState(settings)
    yield state
    state.close()


@pytest.fixture
def source() -> GivenModel:
    """The source of the application's model: one that needs no training."""
    return GivenModel()


@pytest.fixture
async def app(settings: Settings, source: GivenModel) -> AsyncIterator[FastAPI]:
    """The started application."""
    app = create_app(settings, source)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application; mistakes of ours arrive as 500, as they would over a socket."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
