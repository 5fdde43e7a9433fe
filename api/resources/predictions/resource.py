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
from readers.model_lifecycle import ModelLifecycle


def _make_model(services: Services) -> NextActionModel:
    settings, lifecycle = services.settings, services.get(ModelLifecycle)
    return NextActionModel(
        lifecycle.champion(NEXT_ACTION, services.model_source),
        services.metrics,
        idle_ms=settings.idle_ms,
        wait=lifecycle.wait,
        read_learned=partial(read_learned, services.reader, NEXT_ACTION) if settings.learning else None,
        count_items=services.reader.count_items,
    )


RESOURCE = Resource(
    name="predictions",
    routers=[routes.router],
    services=[
        lambda services: ModelLifecycle(services.settings),
        _make_model,
        lambda services: PriceLevels(services.reader),
    ],
    documentation=Documentation(
        tags={"predictions": "Predictions, and how good the models are."}, schemas=SCHEMAS
    ),
)
