"""The ASGI application of the API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from api.http.connection_limiter import ConnectionLimiter
from api.http.cross_origin import CrossOrigin
from api.http.direct_routes import add_direct_routes
from api.http.errors import install_errors, translate_errors
from api.http.load_shedding import Load, LoadShedding
from api.http.metrics import ApiMetrics
from api.http.request_context import RequestContext
from api.http.request_log import RequestLog
from api.http.shared_metrics import SharedMetrics
from api.identity.access import Access
from api.identity.documentation import document_access
from api.openapi.document import DESCRIPTION, TITLE, VERSION, install_document
from api.resources.adapters import routes as adapters
from api.resources.alerts import handling_routes as alert_handling
from api.resources.alerts import routes as alerts
from api.resources.alerts import stream_routes as alert_stream
from api.resources.alerts.feed import AlertFeed
from api.resources.alerts.problems import ERROR_ANSWERS as ALERT_ERRORS
from api.resources.document import routes as document
from api.resources.events import routes as events
from api.resources.events import tail_routes as event_tail
from api.resources.events.ingestion import Ingestion
from api.resources.events.publisher import EventPublisher
from api.resources.health import routes as health
from api.resources.live import routes as live
from api.resources.live.report import read_live
from api.resources.models import routes as models
from api.resources.models.report import MODELS_AGE_S, read_models
from api.resources.page import routes as page
from api.resources.predictions import routes as predict
from api.resources.predictions.model_host import ModelHost
from api.resources.predictions.model_source import ArtefactFolder, ModelSource
from api.resources.privacy import routes as privacy
from api.resources.privacy.remover import Remover
from api.resources.products import routes as products
from api.resources.trending import routes as trending
from api.resources.trending.ranking import read_trending
from api.resources.users import routes as users
from api.resources.webhooks import delivery_routes as webhook_deliveries
from api.resources.webhooks import routes as webhooks
from api.resources.webhooks.problems import ERROR_ANSWERS as WEBHOOK_ERRORS
from api.resources.webhooks.service import WebhookService
from connections.asyncio_redis import open_redis_pool
from contracts.settings import Settings
from readers.reader import Reader
from readers.snapshot import Snapshot

PAGE_FOLDER = Path(__file__).parent / "resources" / "page" / "static"
_SNAPSHOT_AGE_S = 0.5
_LEVEL_AGE_S = 30.0


def create_app(
    settings: Settings, source: ModelSource | None = None, shared: SharedMetrics | None = None
) -> FastAPI:
    """The application for these settings; Redis and Kafka are opened when it starts, closed when it ends.

    The model it answers with comes from `source`, by default the folder in the settings. `shared` has the
    metrics of other processes that serve the same.

    The interactive documentation of FastAPI loads scripts from elsewhere, so only `/openapi.json` is served.
    """
    app = FastAPI(
        title=TITLE,
        description=DESCRIPTION,
        version=VERSION,
        openapi_url=None,  # `api.resources.document.routes` serves it, with an ETag
        generate_unique_id_function=lambda route: route.name,
        lifespan=partial(_lifespan, settings, source or ArtefactFolder(settings.model_dir)),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    metrics = ApiMetrics(shared)
    app.state.metrics = metrics
    app.state.load = Load(settings.api_max_requests)
    app.state.stopping = False  # whoever runs the server sets it when an end was asked for: readiness says so
    app.state.closing = asyncio.Event()  # whoever runs the server sets it when it shall end: streams then do
    install_errors(app)
    translate_errors(app, ALERT_ERRORS | WEBHOOK_ERRORS)
    alerting = (alert_stream, alerts, alert_handling)
    for direct in (events.router, alerts.direct, users.router):  # what is asked most
        add_direct_routes(app, direct)
    for routes in (
        *alerting,
        predict,
        live,
        trending,
        products,
        adapters,
        models,
        webhooks,
        webhook_deliveries,
        privacy,
        event_tail,
        health,
        document,
        page,
    ):
        app.include_router(routes.router)
    document_access(app)
    install_document(app)
    app.mount("/static", StaticFiles(directory=PAGE_FOLDER), name="static")
    app.add_middleware(LoadShedding, load=app.state.load)
    app.add_middleware(CrossOrigin)
    app.add_middleware(RequestContext, metrics=metrics, log=RequestLog(settings.log_requests))
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, source: ModelSource, app: FastAPI) -> AsyncIterator[None]:
    redis = open_redis_pool(settings)
    reader = Reader(redis, settings)
    publisher = EventPublisher(settings, app.state.metrics)
    access = Access(settings, redis)
    app.state.access = access
    app.state.reader = reader
    app.state.publisher = publisher
    ingestion = app.state.ingestion = Ingestion(reader, publisher, app.state.metrics)
    app.state.webhooks = WebhookService(reader)
    remover = app.state.remover = Remover(reader)
    app.state.live = Snapshot(partial(read_live, reader), max_age_s=_SNAPSHOT_AGE_S)
    app.state.trending = Snapshot(partial(read_trending, reader), max_age_s=_SNAPSHOT_AGE_S)
    app.state.price_level = Snapshot(reader.price_level, max_age_s=_LEVEL_AGE_S)
    host = ModelHost(source, app.state.metrics, idle_ms=settings.idle_ms)
    app.state.model_host = host
    app.state.models = Snapshot(partial(read_models, reader, host), max_age_s=MODELS_AGE_S)
    feed = AlertFeed(reader, app.state.closing)
    app.state.alert_feed = feed
    app.state.stream_limiter = ConnectionLimiter(settings.stream_clients, settings.stream_clients_per_key)
    publisher.start()
    host.start()
    feed.start()
    remover.start()
    try:
        yield
    finally:
        app.state.closing.set()
        await feed.close()
        await remover.close()
        await host.close()
        await ingestion.close()
        await publisher.close()
        await access.key_cache.close()
        await redis.aclose()
