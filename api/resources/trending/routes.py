"""`/v1/trending`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.trending import schemas
from api.resources.trending.ranking import MAX_PRODUCTS, TrendingReport
from api.services import use

TrendingDep = Annotated[TrendingReport, use(TrendingReport)]

router = APIRouter(
    prefix="/v1", tags=["live"], dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))]
)


class TrendingQuery(BaseModel):
    """Parameters of `/v1/trending`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(10, ge=1, le=MAX_PRODUCTS, description="Maximum number of products")


@router.get("/trending")
async def get_trending(trending: TrendingDep, query: Annotated[TrendingQuery, Query()]) -> schemas.Trending:
    """Products with the most recent interest, highest score first."""
    answer = await trending.get()
    return answer.model_copy(update={"products": answer.products[: query.limit]})
