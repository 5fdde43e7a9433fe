"""What one process of the API works with, from its start to its end."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Depends, FastAPI, Request

from api.http.connection_limiter import ConnectionLimiter
from api.http.load_shedding import Load
from api.http.metrics import ApiMetrics
from api.identity.access import Access
from contracts.settings import Settings
from models.artefacts.source import ModelSource
from models.next_action.source import CardedModel
from readers.reader import Reader

if TYPE_CHECKING:
    from api.resource import Resource

Service = TypeVar("Service")


@dataclass(slots=True)
class Lifetime:
    """How far the process is in its life, as whoever runs the server says."""

    stopping: bool = False
    """An end was asked for: readiness says so."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """The process ends now: streams then do."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all routes share, and the services that resources registered, each found by its class."""

    reader: Reader
    access: Access
    metrics: ApiMetrics
    load: Load
    lifetime: Lifetime
    streams: ConnectionLimiter
    """Event streams of any kind that are open."""
    model_source: ModelSource[CardedModel]
    resources: "tuple[Resource, ...]"
    registered: dict[type, object] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> Settings:
        """The settings of the process."""
        return self.reader.settings

    def get(self, kind: type[Service]) -> Service:
        """The service of this very class; raises `LookupError` if no resource registered one."""
        service = self.registered.get(kind)
        if not isinstance(service, kind):
            raise LookupError(f"no resource registered a service of the class {kind.__qualname__}")
        return service


class Application(FastAPI):
    """The API's application; plain attributes, for each request asks for its services several times."""

    lifetime: Lifetime
    services: Services
    """There once it has started."""


def services_of(app: Any) -> Services:
    """The services of an application that has started, as requests and scopes hold it."""
    services: Services = app.services
    return services


def use(kind: type[Service]) -> Any:
    """The dependency that gives a route the registered service of this class."""

    # A coroutine, for FastAPI runs plain functions in threads, at 50 us each.
    async def find(request: Request) -> Service:
        return services_of(request.app).get(kind)

    return Depends(find)
