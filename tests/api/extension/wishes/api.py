"""A resource with routes, a service, an error, a check, a scrubber and documentation of its own."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.dependencies import NoQuery, forbid_store
from api.http.errors import ErrorAnswer
from api.http.parts import Part
from api.identity.guard import require
from api.identity.principal import Scope
from api.registry import ResourceRegistry
from api.resource import Documentation, Resource
from api.services import Services, use
from readers.answers import Answer
from readers.reader import Reader
from readers.removal import Trace

PATH = "/v1/wishes"


class NoWish(LookupError):
    """The visitor wishes nothing."""

    def __init__(self) -> None:
        super().__init__("this visitor wishes nothing")


class Wish(Answer):
    """What a visitor wishes."""

    user_id: str
    product_id: str


class Wishes:
    """Reads wishes while the process lives."""

    def __init__(self, reader: Reader) -> None:
        self.is_open = False
        self._reader = reader

    def start(self) -> None:
        """Begins to serve."""
        self.is_open = True

    async def close(self) -> None:
        """Ends."""
        self.is_open = False

    async def read(self, user_id: str) -> Wish:
        """The wish of a visitor; raises `NoWish`."""
        found = await self._reader.ask(b"HGET", wishes_key(self._reader), user_id)
        if found is None:
            raise NoWish
        return Wish(user_id=user_id, product_id=found.decode())


router = APIRouter(
    prefix=PATH, tags=["wishes"], dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))]
)


@router.get("/{user_id}")
async def get_wish(
    user_id: str, wishes: Annotated[Wishes, use(Wishes)], _: Annotated[NoQuery, Query()]
) -> Wish:
    """What one visitor wishes."""
    return await wishes.read(user_id)


def wishes_key(reader: Reader) -> str:
    """Hash: visitor to a product."""
    return f"{reader.settings.namespace}:wishes"


async def scrub_wishes(reader: Reader, trace: Trace) -> dict[str, int]:
    """The wish of a deleted visitor."""
    return {"wishes": int(await reader.redis.hdel(wishes_key(reader), trace.user_id))}


async def check_wishes(services: Services) -> Mapping[str, Part]:
    """Whether wishes are served."""
    is_open = services.get(Wishes).is_open
    return {"wishes": Part(status="ok" if is_open else "down", detail="open" if is_open else "closed")}


RESOURCE = Resource(
    name="wishes",
    routers=[router],
    services=[lambda services: Wishes(services.reader)],
    errors={NoWish: ErrorAnswer(HTTPStatus.NOT_FOUND, "wish.none")},
    checks=[check_wishes],
    scrubbers=[scrub_wishes],
    documentation=Documentation(
        tags={"wishes": "What visitors wish."},
        answers={"get_wish": {"user_id": "visitor-17", "product_id": "p00054"}},
    ),
)


def register(registry: ResourceRegistry) -> None:
    """Register it."""
    registry.add(RESOURCE)
