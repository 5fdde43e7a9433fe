"""`/v1/predict/next-action`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.http.bodies import read_plain_body
from api.http.dependencies import NoQuery, ReaderDep, forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.predictions.document import REQUEST_BODY, RESPONSES
from api.resources.predictions.next_action_model import NextActionModel
from api.resources.predictions.price_levels import PriceLevels
from api.resources.predictions.schemas import PredictedAction, prediction_fields, reasons_fields
from api.resources.predictions.sequences import Defaults, parse_actions
from api.services import use
from contracts.clock import wall_clock_ms
from models.next_action.prices import UNKNOWN_LEVEL

router = APIRouter(
    prefix="/v1/predict",
    tags=["predictions"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.VISITORS_READ))],
)


@router.post("/next-action", responses=RESPONSES, openapi_extra={"requestBody": REQUEST_BODY})
async def predict_next_action(
    request: Request,
    reader: ReaderDep,
    model: Annotated[NextActionModel, use(NextActionModel)],
    levels: Annotated[PriceLevels, use(PriceLevels)],
    _: Annotated[NoQuery, Query()],
) -> PredictedAction:
    """Predicts what follows a sequence of 1 to 256 actions by one visitor, oldest first. Nothing is stored.

    An action is the name of an event type, or an object with `event_type` and other fields; the rules are
    those of the event contract. Either all actions have `event_time`, or none has. In the latter case,
    `after_s` is the pause before an action (default: a minute; ignored for the first action), and the last
    action is taken to happen now. A pause that is too long for a session starts a new one.

    Without a `product_id`, a view is of another product, a favourite or an add is of the product of the
    previous action, and a removal or a purchase is of the product that was added last and is still in the
    cart.
    """
    body = await read_plain_body(request)
    actions = parse_actions(body, Defaults(wall_clock_ms(), reader.settings.currency))
    priced = any(action.price_minor for action in actions)
    level = await levels.get() if priced else UNKNOWN_LEVEL  # without prices it makes no difference
    score, context = await model.predict(actions, level)
    return PredictedAction(
        **prediction_fields(score),
        reasons=reasons_fields(score, context),
        model=score.version,
        actions=score.actions,
    )
