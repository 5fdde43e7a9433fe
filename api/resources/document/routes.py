"""`/openapi.json`."""

import orjson
from fastapi import APIRouter, Request, Response

from api.http.conditional import answer_if_changed

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def get_openapi(request: Request) -> Response:
    """The OpenAPI document."""
    state = request.app.state
    if not hasattr(state, "document"):
        state.document = orjson.dumps(request.app.openapi())
    return answer_if_changed(request, state.document, "application/json")
