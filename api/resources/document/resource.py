"""The OpenAPI document."""

from api.resource import Resource
from api.resources.document import routes

RESOURCE = Resource(
    name="document", seldom_routers=[routes.router], services=[lambda _: routes.DocumentText()]
)
