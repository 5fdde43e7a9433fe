"""`/livez`, `/readyz`, `/startupz` and `/metrics`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.http.dependencies import ServicesDep, forbid_store
from api.identity.guard import is_allowed, require
from api.identity.principal import Scope
from api.resources.health import schemas
from api.resources.health.readiness import check_readiness
from api.resources.predictions.next_action_model import NextActionModel
from api.services import use

router = APIRouter(tags=["operations"], dependencies=[Depends(forbid_store)])


@router.get("/livez")
@router.head("/livez", include_in_schema=False)
async def get_livez() -> schemas.Liveness:
    """Whether the process answers; says nothing about the services it needs."""
    return schemas.Liveness()


@router.get("/readyz", responses={503: {"model": schemas.Readiness}})
@router.head("/readyz", include_in_schema=False)
async def get_readyz(request: Request, services: ServicesDep, response: Response) -> schemas.Readiness:
    """Whether answers are up to date, part by part; 503 if a part is down or the process is shutting down.

    Kafka is at worst `degraded`: answers need only Redis and a worker, while events are refused. The same
    goes for the model, which counting does not need.
    """
    readiness = await check_readiness(services)
    if readiness.status in ("down", "stopping"):
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    if not await is_allowed(request, Scope.OPERATIONS_READ):
        readiness = readiness.model_copy(update={"parts": {}})
    return readiness


@router.get("/startupz", responses={503: {"model": schemas.Startup}})
@router.head("/startupz", include_in_schema=False)
async def get_startupz(
    model: Annotated[NextActionModel, use(NextActionModel)], response: Response
) -> schemas.Startup:
    """Whether the process has looked for its model; 503 until then. It does not check other services."""
    if model.host.has_looked.is_set():
        return schemas.Startup(status="ok")
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return schemas.Startup(status="starting")


@router.get("/metrics", response_class=Response, dependencies=[Depends(require(Scope.OPERATIONS_READ))])
async def get_metrics(services: ServicesDep) -> Response:
    """Metrics of the API, of all its processes together, in the Prometheus text format."""
    headers = {"Cache-Control": "no-store"}
    return Response(services.metrics.render(), media_type=CONTENT_TYPE_LATEST, headers=headers)
