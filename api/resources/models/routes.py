"""`/v1/models`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import NoQuery, forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.models.history import report_history
from api.resources.models.report import MODELS_AGE_S, ModelsReport
from api.resources.models.schemas import ModelHistory, ModelReport
from api.services import use
from readers.model_lifecycle import ModelLifecycle

ModelsDep = Annotated[ModelsReport, use(ModelsReport)]
LifecycleDep = Annotated[ModelLifecycle, use(ModelLifecycle)]
MOST_STEPS = 1_000

router = APIRouter(
    prefix="/v1/models",
    tags=["predictions"],
    dependencies=[Depends(require(Scope.INSIGHTS_READ))],
)


@router.get("", response_model_exclude_unset=True)
async def get_models(models: ModelsDep, _: Annotated[NoQuery, Query()], response: Response) -> ModelReport:
    """Model versions with live figures, drift, the workers that run them, and the API's own model.

    Predictions count in the window in which they were judged: by the next action, or when the session ended.
    """
    answer = await models.get()
    response.headers["Cache-Control"] = f"private, max-age={MODELS_AGE_S:.0f}"
    return answer


class HistoryQuery(BaseModel):
    """Parameters of `/v1/models/history`."""

    model_config = ConfigDict(extra="forbid")

    slot: str | None = Field(None, pattern=r"^[A-Za-z_]\w{0,79}$", description="Only of this model slot")
    limit: int = Field(100, ge=1, le=MOST_STEPS, description="Maximum number of steps")


@router.get("/history", dependencies=[Depends(forbid_store)])
async def get_model_history(lifecycle: LifecycleDep, query: Annotated[HistoryQuery, Query()]) -> ModelHistory:
    """Which version of each model is the champion, and every step that led there: who decided, and why."""
    return report_history(
        lifecycle.lifecycle, slot=query.slot, limit=query.limit, is_complete=lifecycle.is_read
    )
