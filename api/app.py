"""The ASGI application of the API."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute

from api.http.ambiguity import UnambiguousRequests
from api.http.connection_limiter import ConnectionLimiter
from api.http.cross_origin import CrossOrigin
from api.http.direct_routes import add_direct_routes
from api.http.errors import install_errors, translate_errors
from api.http.load_shedding import Load, LoadShedding
from api.http.metrics import ApiMetrics
from api.http.request_context import RequestContext
from api.http.request_log import RequestLog
from api.http.shared_metrics import SharedMetrics
from api.http.slow_bodies import SlowBodies
from api.identity.access import Access
from api.identity.documentation import document_access
from api.openapi.document import DESCRIPTION, TITLE, VERSION, install_document
from api.registry import find_resources
from api.resource import Resource
from api.services import Application, Lifetime, Services
from connections.asyncio_redis import open_redis_pool
from contracts.settings import Settings
from models.artefacts.source import ModelSource
from models.next_action.source import CardedModel, next_action_folder
from readers.reader import Reader


def create_app(
    settings: Settings,
    source: ModelSource[CardedModel] | None = None,
    shared: SharedMetrics | None = None,
    *,
    resources: Sequence[Resource] | None = None,
) -> Application:
    """The application for these settings; Redis and Kafka are opened when it starts, closed when it ends.

    The model it answers with comes from `source`, by default the folder in the settings. `shared` has the
    metrics of other processes that serve the same. It serves `resources`, by default those of the product and
    of the extensions in the settings.

    The interactive documentation of FastAPI loads scripts from elsewhere, so only `/openapi.json` is served.
    """
    resources = tuple(find_resources(settings) if resources is None else resources)
    made = _Made(
        settings,
        resources,
        source or next_action_folder(settings.model_dir),
        ApiMetrics(shared),
        Load(settings.api_max_requests),
        Lifetime(),
    )
    app = _make_application(routes=list(_routes_of(resources)), lifespan=partial(_lifespan, made))
    app.lifetime = made.lifetime
    install_errors(app)
    for resource in resources:
        translate_errors(app, resource.errors)
    document_access(app)
    install_document(app, resources)
    browser_paths = frozenset().union(*(one.browser_paths for one in resources))
    list_paths = browser_paths.union(*(one.list_paths for one in resources))
    foreign_paths = frozenset().union(*(one.foreign_paths for one in resources))
    app.add_middleware(UnambiguousRequests, list_paths=list_paths, foreign_paths=foreign_paths)
    slow_bodies = SlowBodies(settings.api_max_slow_bodies)
    app.add_middleware(LoadShedding, load=made.load, slow_bodies=slow_bodies)
    app.add_middleware(CrossOrigin, paths=browser_paths)
    app.add_middleware(RequestContext, metrics=made.metrics, log=RequestLog(settings.log_requests))
    return app


class _Made(NamedTuple):
    """What an application has before it starts."""

    settings: Settings
    resources: tuple[Resource, ...]
    source: ModelSource[CardedModel]
    metrics: ApiMetrics
    load: Load
    lifetime: Lifetime


@asynccontextmanager
async def _lifespan(made: _Made, app: Application) -> AsyncIterator[None]:
    settings = made.settings
    redis = open_redis_pool(settings)
    services = app.services = Services(
        reader=Reader(redis, settings),
        access=Access(settings, redis),
        metrics=made.metrics,
        load=made.load,
        lifetime=made.lifetime,
        streams=ConnectionLimiter(settings.stream_clients, settings.stream_clients_per_key),
        model_source=made.source,
        resources=made.resources,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        stack.push_async_callback(services.access.key_cache.close)
        await _start_services(services, stack)
        stack.callback(made.lifetime.closing.set)  # first: streams end then
        yield


def _make_application(**more: Any) -> Application:
    return Application(
        title=TITLE,
        description=DESCRIPTION,
        version=VERSION,
        openapi_url=None,  # `api.resources.document` serves it, with an ETag
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        **more,
    )


@lru_cache(maxsize=8)
def _routes_of(resources: tuple[Resource, ...]) -> tuple[BaseRoute, ...]:
    """Routes and files of all resources, in the order in which they are tried.

    FastAPI examines all of them at the first request, for longer than most requests take, and keeps what it
    found with the routes: applications of the same resources share them.
    """
    app = _make_application()
    for resource in resources:
        for router in resource.direct_routers:
            add_direct_routes(app, router)
    for routers in ([one.routers for one in resources], [one.seldom_routers for one in resources]):
        for router in (router for some in routers for router in some):
            app.include_router(router)
    for resource in resources:
        for path, folder in resource.files.items():
            app.mount(path, StaticFiles(directory=folder), name=path.strip("/"))
    return tuple(app.routes)


@runtime_checkable
class _Startable(Protocol):
    def start(self) -> Any: ...


@runtime_checkable
class _Closable(Protocol):
    async def close(self) -> None: ...


async def _start_services(services: Services, stack: AsyncExitStack) -> None:
    """Makes and starts the services of all resources in their order; the stack closes them."""
    for make in (make for resource in services.resources for make in resource.services):
        service = make(services)
        if isinstance(service, _Closable):
            stack.push_async_callback(service.close)
        if isinstance(service, _Startable):
            service.start()
        services.registered[type(service)] = service
