"""Customers: what they bought, and the devices on which they log in."""

from api.openapi.identifiers import TEXT_ID
from api.resource import Documentation, Resource
from api.resources.customers import routes
from api.resources.customers.examples import ANSWERS

RESOURCE = Resource(
    name="customers",
    routers=[routes.router],
    documentation=Documentation(
        tags={"customers": "What customers bought, and the devices on which they log in."},
        answers=ANSWERS,
        parameters={"customer_id": "customer-97", "visitor_id": "visitor-17"},
        path_schemas={"customer_id": TEXT_ID, "visitor_id": TEXT_ID},
    ),
)
