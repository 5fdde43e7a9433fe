"""What visitors are expected to do next."""

from functools import partial

from api.resource import Documentation, Resource
from api.resources.predictions import routes
from api.resources.predictions.document import SCHEMAS
from api.resources.predictions.next_action_model import NextActionModel
from api.resources.predictions.price_levels import PriceLevels
from api.services import Services
from contracts.heartbeat import NEXT_ACTION
from readers.learned import read_learned


def _make_model(services: Services) -> NextActionModel:
    settings = services.settings
    return NextActionModel(
        services.model_source,
        services.metrics,
        idle_ms=settings.idle_ms,
        read_learned=partial(read_learned, services.reader, NEXT_ACTION) if settings.learning else None,
    )


RESOURCE = Resource(
    name="predictions",
    routers=[routes.router],
    services=[_make_model, lambda services: PriceLevels(services.reader)],
    documentation=Documentation(
        tags={"predictions": "Asking the models, and how good they are."}, schemas=SCHEMAS
    ),
)
