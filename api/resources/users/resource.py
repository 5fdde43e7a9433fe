"""State of single visitors, and what is expected of them."""

from api.openapi.identifiers import TEXT_ID
from api.resource import Documentation, Resource
from api.resources.users import routes
from api.resources.users.examples import ANSWERS

RESOURCE = Resource(
    name="users",
    direct_routers=[routes.router],
    documentation=Documentation(
        tags={"visitors": "State of single visitors, and what they are expected to do."},
        answers=ANSWERS,
        parameters={"user_id": "visitor-17"},
        path_schemas={"user_id": TEXT_ID},
    ),
)
