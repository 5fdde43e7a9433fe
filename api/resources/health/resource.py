"""Health and metrics of the process."""

from api.resource import Documentation, Resource
from api.resources.health import routes
from api.resources.health.examples import ANSWERS

RESOURCE = Resource(
    name="health",
    seldom_routers=[routes.router],
    documentation=Documentation(tags={"operations": "Health and metrics, for operators."}, answers=ANSWERS),
)
