"""The live page at `/`, and the snippet that shops load into their pages."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Response
from fastapi.responses import FileResponse

from api.http.cross_origin import SNIPPET_PATH

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent / "static"
_SNIPPET_MAX_AGE_S = 3_600
"""A shop gets a new version within the hour; a page that was open keeps its own."""


class _Snippet(NamedTuple):
    content: bytes
    etag: str


@router.get("/")
@router.head("/")
async def get_page() -> FileResponse:
    """The page; its script and style come from `/static`."""
    return FileResponse(FOLDER / "live.html", media_type="text/html", headers={"Cache-Control": "no-cache"})


@router.get(SNIPPET_PATH)
@router.head(SNIPPET_PATH)
async def get_snippet(if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The snippet, or 304 for whoever has it."""
    snippet = _read_snippet()
    headers = {"Cache-Control": f"public, max-age={_SNIPPET_MAX_AGE_S}", "ETag": snippet.etag}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if snippet.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(snippet.content, media_type="text/javascript", headers=headers)


def shorten_script(source: str) -> str:
    """A script without its comments of whole lines, indentation and empty lines."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


@cache
def _read_snippet() -> _Snippet:
    content = shorten_script((FOLDER / "storepulse.js").read_text()).encode()
    return _Snippet(content, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
