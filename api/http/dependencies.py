"""What routes take from the application, and the parameters they share."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from api.http.errors import Problem
from api.services import Services, services_of
from contracts.fields import InvalidEvent, identifier
from readers.reader import Reader

# Even the shortest of these are coroutines: FastAPI runs plain functions in threads, at 50 us each.


class NoQuery(BaseModel):
    """A path that takes no parameters."""

    model_config = ConfigDict(extra="forbid")


async def _reader(request: Request) -> Reader:
    return services_of(request.app).reader


async def _services(request: Request) -> Services:
    return services_of(request.app)


async def forbid_store(response: Response) -> None:
    """Answers are personal or stale within a second: no cache may keep them."""
    response.headers["Cache-Control"] = "no-store"


ReaderDep = Annotated[Reader, Depends(_reader)]
ServicesDep = Annotated[Services, Depends(_services)]


def check_identifier(field: str, value: str) -> str:
    """The id as the event contract allows it; raises `Problem` that names field and rule."""
    try:
        return identifier(field, value)
    except InvalidEvent as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, exc.code, exc.detail) from exc
