"""`/v1/webhooks`: endpoints that are told of alerts."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.http.dependencies import NoQuery, forbid_store
from api.identity.guard import require
from api.identity.principal import Principal, Scope
from api.openapi.problem_document import describe_problems
from api.resources.webhooks.requests import NewWebhook, Rotation, WebhookChange
from api.resources.webhooks.schemas import (
    Webhook,
    WebhookDelivery,
    WebhookList,
    WebhookWithSecret,
    to_delivery,
)
from api.resources.webhooks.service import WebhookService
from api.services import use
from delivery.webhooks.endpoints import is_endpoint_id
from delivery.webhooks.errors import UnknownEndpoint

_manager = require(Scope.WEBHOOKS_MANAGE)
router = APIRouter(
    prefix="/v1/webhooks", tags=["webhooks"], dependencies=[Depends(forbid_store), Depends(_manager)]
)


def _known_form(webhook_id: Annotated[str, Path(max_length=40, description="`id` of the endpoint")]) -> str:
    if not is_endpoint_id(webhook_id):
        raise UnknownEndpoint
    return webhook_id


ServiceDep = Annotated[WebhookService, use(WebhookService)]
WebhookId = Annotated[str, Depends(_known_form)]
NoQueryDep = Annotated[NoQuery, Query()]
NOT_JSON = "The body is not JSON"
UNKNOWN = "No such endpoint"


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=describe_problems({400: NOT_JSON, 409: "The maximum number of endpoints has been reached"}),
)
async def create_webhook(
    service: ServiceDep,
    principal: Annotated[Principal, Depends(_manager)],
    response: Response,
    body: NewWebhook,
    _: NoQueryDep,
) -> WebhookWithSecret:
    """Registers an endpoint for alerts published from now on.

    Its secret is only in this answer. The URL must point to the public Internet, otherwise: 422 `url.rule`.
    """
    endpoint, secret = await service.add(body, principal.key_id)
    response.headers["Location"] = f"/v1/webhooks/{endpoint.endpoint_id}"
    return WebhookWithSecret.model_validate({**await service.describe(endpoint), "secret": secret})


@router.get("")
async def list_webhooks(service: ServiceDep, _: NoQueryDep) -> WebhookList:
    """All endpoints, the oldest first."""
    endpoints = (await service.registry.read_all()).values()
    shown = await asyncio.gather(*map(service.describe, endpoints))
    return WebhookList(webhooks=[Webhook.model_validate(fields) for fields in shown])


@router.get("/{webhook_id}", responses=describe_problems({404: UNKNOWN}))
async def get_webhook(service: ServiceDep, webhook_id: WebhookId, _: NoQueryDep) -> Webhook:
    """Returns one endpoint and the state of its deliveries."""
    return Webhook.model_validate(await service.describe(await service.registry.read(webhook_id)))


@router.patch(
    "/{webhook_id}",
    responses=describe_problems(
        {400: NOT_JSON, 404: UNKNOWN, 409: "It was changed by someone else at the same time"}
    ),
)
async def change_webhook(
    service: ServiceDep, webhook_id: WebhookId, body: WebhookChange, _: NoQueryDep
) -> Webhook:
    """Changes the URL or the filters, pauses or resumes.

    A paused endpoint keeps its position in the log of alerts, and gets what was published meanwhile when it
    is resumed. A disabled endpoint that is made active again starts with what is published from then on; use
    `replay` for the rest.
    """
    return Webhook.model_validate(await service.describe(await service.change(webhook_id, body)))


@router.delete(
    "/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=describe_problems({404: UNKNOWN})
)
async def delete_webhook(service: ServiceDep, webhook_id: WebhookId, _: NoQueryDep) -> None:
    """Deletes the endpoint with its secrets and the log of its deliveries."""
    await service.registry.remove(webhook_id)


@router.post(
    "/{webhook_id}/test",
    responses=describe_problems({404: UNKNOWN, 503: "Too many tests are in progress; retry"}),
)
async def send_test_message(service: ServiceDep, webhook_id: WebhookId, _: NoQueryDep) -> WebhookDelivery:
    """Sends a `webhook.test` message now, whatever the state of the endpoint, and returns the result.

    It is logged like a delivery, and never retried.
    """
    return to_delivery(await service.send_test(webhook_id))


@router.post(
    "/{webhook_id}/rotate",
    responses=describe_problems(
        {400: NOT_JSON, 404: UNKNOWN, 409: "It was changed by someone else at the same time"}
    ),
)
async def rotate_webhook_secret(
    service: ServiceDep, webhook_id: WebhookId, _: NoQueryDep, body: Rotation | None = None
) -> WebhookWithSecret:
    """Creates a new secret, shown only in this answer. During the overlap, messages are signed with both.

    If it is repeated within an overlap, only the newer of the two old secrets stays valid.
    """
    overlap_h = (body or Rotation()).overlap_h
    endpoint, secret = await service.rotate(webhook_id, overlap_h)
    return WebhookWithSecret.model_validate({**await service.describe(endpoint), "secret": secret})
