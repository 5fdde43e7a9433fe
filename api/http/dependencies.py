"""What routes take from the application, and the parameters they share."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from api.http.errors import Problem
from api.resources.events.publisher import EventPublisher
from api.resources.live.schemas import Live
from api.resources.models.schemas import Models
from api.resources.predictions.model_host import ModelHost
from api.resources.trending.schemas import Trending
from contracts.fields import InvalidEvent, identifier
from models.next_action.prices import PriceLevel
from readers.reader import Reader
from readers.snapshot import Snapshot

# Even the shortest of these are coroutines: FastAPI runs plain functions in threads, at 50 us each.


class NoQuery(BaseModel):
    """A path that takes no parameters."""

    model_config = ConfigDict(extra="forbid")


async def _reader(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    return reader


async def _publisher(request: Request) -> EventPublisher:
    publisher: EventPublisher = request.app.state.publisher
    return publisher


async def _live(request: Request) -> Snapshot[Live]:
    snapshot: Snapshot[Live] = request.app.state.live
    return snapshot


async def _trending(request: Request) -> Snapshot[Trending]:
    snapshot: Snapshot[Trending] = request.app.state.trending
    return snapshot


async def _model_host(request: Request) -> ModelHost:
    host: ModelHost = request.app.state.model_host
    return host


async def _price_level(request: Request) -> Snapshot[PriceLevel]:
    snapshot: Snapshot[PriceLevel] = request.app.state.price_level
    return snapshot


async def _models(request: Request) -> Snapshot[Models]:
    snapshot: Snapshot[Models] = request.app.state.models
    return snapshot


async def forbid_store(response: Response) -> None:
    """Answers are personal or stale within a second: no cache may keep them."""
    response.headers["Cache-Control"] = "no-store"


ReaderDep = Annotated[Reader, Depends(_reader)]
PublisherDep = Annotated[EventPublisher, Depends(_publisher)]
LiveDep = Annotated[Snapshot[Live], Depends(_live)]
TrendingDep = Annotated[Snapshot[Trending], Depends(_trending)]
ModelsDep = Annotated[Snapshot[Models], Depends(_models)]
ModelHostDep = Annotated[ModelHost, Depends(_model_host)]
PriceLevelDep = Annotated[Snapshot[PriceLevel], Depends(_price_level)]


def check_identifier(field: str, value: str) -> str:
    """The id as the event contract allows it; raises `Problem` that names field and rule."""
    try:
        return identifier(field, value)
    except InvalidEvent as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, exc.code, exc.detail) from exc
