"""Demand of single products."""

from api.openapi.identifiers import TEXT_ID
from api.resource import Documentation, Resource
from api.resources.products import routes
from api.resources.products.examples import ANSWERS

RESOURCE = Resource(
    name="products",
    routers=[routes.router],
    documentation=Documentation(
        tags={"products": "Demand of single products."},
        answers=ANSWERS,
        parameters={"product_id": "p00054", "grain": "hour"},
        path_schemas={"product_id": TEXT_ID},
    ),
)
