"""`/v1/products/{product_id}/demand`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import ReaderDep, check_identifier, forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.products import schemas
from api.resources.products.demand import DemandQuery, choose_interval, read_demand
from contracts.buckets import Grain

router = APIRouter(
    prefix="/v1/products",
    tags=["products"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))],
)


class DemandParameters(BaseModel):
    """Parameters of `/v1/products/{product_id}/demand`."""

    model_config = ConfigDict(extra="forbid")

    grain: Grain = "hour"
    from_: str | None = Field(
        None,
        alias="from",
        max_length=40,
        description="RFC 3339 or epoch ms; default 60 minutes, 48 hours or 30 days",
    )
    to: str | None = Field(
        None,
        max_length=40,
        description="RFC 3339 or epoch ms; default: up to and including the current bucket",
    )


@router.get("/{product_id:path}/demand")
async def get_demand(
    product_id: str, reader: ReaderDep, query: Annotated[DemandParameters, Query()]
) -> schemas.Demand:
    """Returns the demand of a product in minute, hour or day buckets (UTC), zeros if it is unknown."""
    check_identifier("product_id", product_id)
    time = await reader.stream_time()
    interval = choose_interval(query.from_, query.to, query.grain, time.as_of_ms)
    return await read_demand(reader, DemandQuery(product_id, query.grain, interval), time)
