"""Routes that read their request themselves."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """Calls its function with the request, and with nothing that FastAPI would have to find out first.

    For the busiest paths: to resolve dependencies and parameters takes as long as to serve the rest of them.
    The function takes the request alone, gives a response, and asks its guard itself; what the document says
    of parameters comes in `openapi_extra`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function of the route."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler
