"""A resource of the API: `/v1/stock/{product_id}`."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends

from api.http.dependencies import ReaderDep, check_identifier, forbid_store
from api.http.errors import Problem
from api.identity.guard import require
from api.identity.principal import Scope
from api.openapi.problem_document import describe_problems
from api.registry import ResourceRegistry
from api.resource import Documentation, Resource
from contracts.snapshots import decode_snapshot
from readers.answers import Answer
from readers.intervals import to_datetime
from restock.contracts import COVER

router = APIRouter(
    prefix="/v1/stock",
    tags=["stock"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))],
)


class ProductStock(Answer):
    """What is known of a product's stock."""

    as_of: datetime
    product_id: str
    units: int | None
    sold: int
    cover: float | None


@router.get("/{product_id:path}", responses=describe_problems({404: "Nothing is known of this product"}))
async def get_stock(product_id: str, reader: ReaderDep) -> ProductStock:
    """Units at the last count, units sold, and how many times those are on the shelf."""
    check_identifier("product_id", product_id)
    blob: Any = await reader.redis.get(reader.keys.snapshot(COVER, product_id))
    if blob is None:
        raise Problem(HTTPStatus.NOT_FOUND, "stock.unknown", "nothing is known of this product")
    snapshot = decode_snapshot(blob)
    return ProductStock(as_of=to_datetime(snapshot.made_ms), product_id=product_id, **snapshot.value)


RESOURCE = Resource(
    name="stock",
    routers=[router],
    documentation=Documentation(
        tags={"stock": "Units on the shelf."},
        answers={
            "get_stock": {
                "as_of": "2025-10-09T08:53:20Z",
                "product_id": "p00054",
                "units": 12,
                "sold": 4,
                "cover": 3.0,
            }
        },
    ),
)


def register(registry: ResourceRegistry) -> None:
    """Register it."""
    registry.add(RESOURCE)
