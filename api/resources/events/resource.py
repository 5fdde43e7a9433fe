"""Events: sending them, and watching one's own arrive."""

from collections.abc import Mapping

from api.http.parts import Part
from api.resource import Documentation, Resource
from api.resources.events import routes, tail_routes
from api.resources.events.document import SCHEMAS
from api.resources.events.ingestion import Ingestion
from api.resources.events.publisher import EventPublisher
from api.services import Services


def _make_publisher(services: Services) -> EventPublisher:
    return EventPublisher(services.settings, services.metrics)


def _make_ingestion(services: Services) -> Ingestion:
    ingestion = Ingestion(services.reader, services.get(EventPublisher), services.metrics)
    services.access.blocked_origins.listener = ingestion.refusals.report_origin
    return ingestion


async def _check_kafka(services: Services) -> Mapping[str, Part]:
    return {"kafka": await services.get(EventPublisher).check()}


RESOURCE = Resource(
    name="events",
    direct_routers=[routes.router],
    seldom_routers=[tail_routes.router],
    services=[_make_publisher, _make_ingestion],
    checks=[_check_kafka],
    browser_paths=frozenset(("/v1/events",)),
    documentation=Documentation(
        tags={"events": "Sending events: single, in batches, as lines; and watching one's own arrive."},
        answers={"tail_events": {"event": "ready", "data": "{}"}},
        schemas=SCHEMAS,
    ),
)
