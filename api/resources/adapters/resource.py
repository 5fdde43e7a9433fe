"""Events as Segment and Google Analytics 4 send them."""

from fastapi.routing import APIRoute

from api.resource import Documentation, Resource
from api.resources.adapters import routes, settings_routes
from api.resources.adapters.document import SCHEMAS
from api.resources.adapters.examples import ANSWERS

_PATHS = frozenset(route.path for route in routes.router.routes if isinstance(route, APIRoute))

RESOURCE = Resource(
    name="adapters",
    seldom_routers=[routes.router, settings_routes.router],
    browser_paths=_PATHS,
    foreign_paths=_PATHS,
    documentation=Documentation(
        tags={"adapters": "Events in the formats of Segment and Google Analytics 4."},
        answers=ANSWERS,
        schemas=SCHEMAS,
        parameters={"measurement_id": "G-1A2B3C4D5E"},
    ),
)
