"""The live page at `/`."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

_PAGE = Path(__file__).parent.parent / "page" / "live.html"


@router.get("/")
async def get_page() -> FileResponse:
    """The page; its script and style come from `/static`."""
    return FileResponse(_PAGE, media_type="text/html", headers={"Cache-Control": "no-cache"})
