"""What visitors are expected to do next."""

from api.resource import Documentation, Resource
from api.resources.predictions import routes
from api.resources.predictions.document import SCHEMAS
from api.resources.predictions.next_action_model import NextActionModel
from api.resources.predictions.price_levels import PriceLevels
from api.services import Services


def _make_model(services: Services) -> NextActionModel:
    return NextActionModel(services.model_source, services.metrics, idle_ms=services.settings.idle_ms)


RESOURCE = Resource(
    name="predictions",
    routers=[routes.router],
    services=[_make_model, lambda services: PriceLevels(services.reader)],
    documentation=Documentation(
        tags={"predictions": "Asking the models, and how good they are."}, schemas=SCHEMAS
    ),
)
