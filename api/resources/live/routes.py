"""`/v1/live`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.http.dependencies import NoQuery, forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.live import schemas
from api.resources.live.report import LiveReport
from api.services import use

LiveDep = Annotated[LiveReport, use(LiveReport)]

router = APIRouter(
    prefix="/v1", tags=["live"], dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))]
)


@router.get("/live")
async def get_live(live: LiveDep, _: Annotated[NoQuery, Query()]) -> schemas.Live:
    """Active visitors, events, funnel, sales and delay right now."""
    return await live.get()
