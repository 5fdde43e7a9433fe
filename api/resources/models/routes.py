"""`/v1/models`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from api.http.dependencies import NoQuery
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.models.report import MODELS_AGE_S, ModelsReport
from api.resources.models.schemas import ModelReport
from api.services import use

ModelsDep = Annotated[ModelsReport, use(ModelsReport)]

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
