"""`/v1/predict/next-basket`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.http.bodies import read_plain_body
from api.http.dependencies import NoQuery, forbid_store
from api.identity.guard import require
from api.identity.principal import Scope
from api.resources.next_basket.baskets import parse_baskets
from api.resources.next_basket.document import REQUEST_BODY, RESPONSES
from api.resources.next_basket.predictor import BasketPredictor
from api.resources.next_basket.schemas import NextBasket, NextItem, to_reason
from api.services import use
from contracts.clock import wall_clock_ms

router = APIRouter(
    prefix="/v1/predict",
    tags=["predictions"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.VISITORS_READ))],
)


@router.post("/next-basket", responses=RESPONSES, openapi_extra={"requestBody": REQUEST_BODY})
async def predict_next_basket(
    request: Request,
    predictor: Annotated[BasketPredictor, use(BasketPredictor)],
    _: Annotated[NoQuery, Query()],
) -> NextBasket:
    """Predicts the next basket of a customer from 1 to 100 baskets, oldest first. Nothing is stored.

    A basket is an array of product ids, or an object with `items` and the time `at`. Either all baskets have
    times, or none has. With times, what is due at `asked_at` (default: now) comes first.

    The model that `STOREPULSE_NEXT_BASKET_DIR` names answers. Without one, or if it does not answer in time,
    it is a list of what the customer bought before; `answered_by` says which.
    """
    asked = parse_baskets(await read_plain_body(request), wall_clock_ms())
    found = await predictor.predict(asked)
    return NextBasket(
        items=[
            NextItem(
                product_id=item.product_id,
                score=item.score,
                times_bought=0 if item.repeat is None else item.repeat.times,
                days_since=None
                if item.repeat is None or item.repeat.since_days is None
                else round(item.repeat.since_days, 2),
                reason=to_reason(item.reason),
            )
            for item in found.items
        ],
        answered_by="repeats" if found.version is None else "model",
        model=found.version,
        model_trouble=found.trouble,
        baskets=len(asked.baskets),
    )
