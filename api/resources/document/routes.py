"""`/openapi.json`."""

from typing import Annotated

import orjson
from fastapi import APIRouter, FastAPI, Request, Response

from api.http.conditional import answer_if_changed
from api.services import use

router = APIRouter(include_in_schema=False)


class DocumentText:
    """The OpenAPI document as JSON, made once."""

    def __init__(self) -> None:
        self._text: bytes | None = None

    def read(self, app: FastAPI) -> bytes:
        """The document of this application."""
        if self._text is None:
            self._text = orjson.dumps(app.openapi())
        return self._text


@router.get("/openapi.json")
async def get_openapi(request: Request, document: Annotated[DocumentText, use(DocumentText)]) -> Response:
    """The OpenAPI document."""
    return answer_if_changed(request, document.read(request.app), "application/json")
