"""`/v1/webhooks/{webhook_id}/deliveries` and `/replay`: what was sent, and sending it again."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import forbid_store
from api.http.query_times import parse_time
from api.identity.guard import require
from api.identity.principal import Scope
from api.openapi.problem_document import describe_problems
from api.resources.webhooks.requests import Replay
from api.resources.webhooks.routes import NOT_JSON, UNKNOWN, NoQueryDep, ServiceDep, WebhookId
from api.resources.webhooks.schemas import (
    ReplayStarted,
    WebhookDeliveries,
    WebhookDelivery,
    to_delivery,
)
from delivery.webhooks.errors import UnknownDelivery
from delivery.webhooks.messages import is_message_id

router = APIRouter(
    prefix="/v1/webhooks/{webhook_id}",
    tags=["webhooks"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.WEBHOOKS_MANAGE))],
)
_NO_DELIVERY = "No such endpoint, or no such delivery in its log"


class DeliveryQuery(BaseModel):
    """Parameters of the log of deliveries."""

    model_config = ConfigDict(extra="forbid")

    before: int | None = Field(None, ge=0, le=2**53, description="`next` of the previous answer")
    limit: int = Field(50, ge=1, le=200, description="Maximum number of deliveries")


def _known_form(delivery_id: Annotated[str, Path(max_length=100, description="`id` of the delivery")]) -> str:
    if not is_message_id(delivery_id):
        raise UnknownDelivery
    return delivery_id


DeliveryId = Annotated[str, Depends(_known_form)]


@router.get("/deliveries", responses=describe_problems({404: UNKNOWN}))
async def list_webhook_deliveries(
    service: ServiceDep, webhook_id: WebhookId, query: Annotated[DeliveryQuery, Query()]
) -> WebhookDeliveries:
    """What was sent and with what result, newest first, as far as it is stored."""
    await service.registry.read(webhook_id)
    logged, following = await service.log(webhook_id).read(query.before, query.limit)
    return WebhookDeliveries(deliveries=[to_delivery(one) for one in logged], next=following)


@router.get("/deliveries/{delivery_id}", responses=describe_problems({404: _NO_DELIVERY}))
async def get_webhook_delivery(
    service: ServiceDep, webhook_id: WebhookId, delivery_id: DeliveryId, _: NoQueryDep
) -> WebhookDelivery:
    """One delivery."""
    return to_delivery(await service.log(webhook_id).find(delivery_id))


@router.post(
    "/deliveries/{delivery_id}/resend",
    status_code=HTTPStatus.ACCEPTED,
    responses=describe_problems(
        {404: _NO_DELIVERY, 429: "Too many deliveries are waiting for this endpoint"}
    ),
)
async def resend_webhook_delivery(
    service: ServiceDep, webhook_id: WebhookId, delivery_id: DeliveryId, _: NoQueryDep
) -> WebhookDelivery:
    """Sends a delivery again with the same id, from the start of the retry schedule; one that is waiting
    is sent at once.
    """
    await service.registry.read(webhook_id)
    return to_delivery(await service.log(webhook_id).resend(delivery_id))


@router.post(
    "/replay",
    status_code=HTTPStatus.ACCEPTED,
    responses=describe_problems({400: NOT_JSON, 404: UNKNOWN}),
)
async def replay_webhook(
    service: ServiceDep, webhook_id: WebhookId, body: Replay, _: NoQueryDep
) -> ReplayStarted:
    """Sends all matching steps again that were published since the given time and are still in the log of
    alerts.

    This includes steps that were delivered, with the same ids, so that receivers can drop them. New alerts
    are not delayed. A second request replaces the first.
    """
    since_ms = parse_time("since", body.since)
    return ReplayStarted(replaying=await service.log(webhook_id).replay(since_ms))
