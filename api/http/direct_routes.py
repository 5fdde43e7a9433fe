"""Routes that read their request themselves."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(APIRoute):
    """Calls its function with the request, and with nothing that FastAPI would have to find out first.

    For the busiest paths: to resolve dependencies and parameters takes as long as to serve the rest of them.
    The function takes the request alone, gives a response, and asks its guard itself; what the document says
    of parameters comes in `openapi_extra`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = _answering(self.endpoint)


def _answering(endpoint: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """Without Starlette's handling of errors around each route: around all of them there is the same."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


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
