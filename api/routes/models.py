"""`/v1/models`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.identity.guard import require
from api.identity.principal import Scope
from api.model_schemas import Models
from api.routes.dependencies import ModelsDep, NoQuery, forbid_store

router = APIRouter(
    prefix="/v1/models",
    tags=["predictions"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.INSIGHTS_READ))],
)


@router.get("")
async def get_models(models: ModelsDep, _: Annotated[NoQuery, Query()]) -> Models:
    """Model versions with live figures, drift, the workers that run them, and the API's own model.

    Predictions count in the window in which they were judged: by the next action, or when the session ended.
    """
    return await models.get()
