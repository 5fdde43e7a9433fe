"""Routes that read their request themselves."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import request_response


class DirectRoute(APIRoute):
    """Calls its function with the request, and with nothing that FastAPI would have to find out first.

    For the busiest paths: to resolve dependencies and parameters takes as long as to serve the rest of them.
    The function takes the request alone, gives a response, and asks its guard itself; what the document says
    of parameters comes in `openapi_extra`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = request_response(self.endpoint)


def direct_router(prefix: str, tag: str, route_class: type[DirectRoute] = DirectRoute) -> APIRouter:
    """For direct routes under this prefix; `add_direct_routes` puts them into the application."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=route_class,
        generate_unique_id_function=lambda route: route.name,
    )


def add_direct_routes(app: FastAPI, router: APIRouter) -> None:
    """Adds the routes themselves, to be tried one by one: to ask a router for them takes longer than they do.

    They come in the order of the calls, so before those of routers that are included later.
    """
    app.router.routes.extend(router.routes)
