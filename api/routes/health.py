"""`/livez`, `/readyz` and `/metrics`."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api import schemas
from api.health import check_readiness
from api.routes.dependencies import CollectorDep, ModelHostDep, ReaderDep, forbid_store

router = APIRouter(tags=["operations"], dependencies=[Depends(forbid_store)])


@router.get("/livez")
async def get_livez() -> schemas.Liveness:
    """The process answers; says nothing about what it needs."""
    return schemas.Liveness()


@router.get("/readyz", responses={503: {"model": schemas.Readiness}})
async def get_readyz(
    reader: ReaderDep, collector: CollectorDep, host: ModelHostDep, response: Response
) -> schemas.Readiness:
    """Whether answers are live, part by part; 503 if a part is down.

    Kafka is at worst degraded: answers need only Redis and a worker, events are refused meanwhile. So is the
    model: what is counted does not need it.
    """
    readiness = await check_readiness(reader, collector, host)
    if readiness.status == "down":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return readiness


@router.get("/metrics", response_class=Response)
async def get_metrics(request: Request) -> Response:
    """Metrics of this API process in the Prometheus text format."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
