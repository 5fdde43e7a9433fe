"""`/v1/experiments`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.experiments.report import ExperimentsReport
from api.resources.experiments.schemas import Experiments
from api.services import use

ReportDep = Annotated[ExperimentsReport, use(ExperimentsReport)]

router = APIRouter(
    prefix="/v1",
    tags=["alerts"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))],
)


class ExperimentsQuery(BaseModel):
    """Parameters of `/v1/experiments`."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(30, ge=1, le=365, description="Alerts that fired in the last so many days (UTC)")


@router.get("/experiments")
async def get_experiments(report: ReportDep, query: Annotated[ExperimentsQuery, Query()]) -> Experiments:
    """What alerts bring: purchases within a day of an alert, of visitors told of against those held out."""
    return await report.get(query.days)
