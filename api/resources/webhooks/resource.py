"""Webhooks: endpoints that are told of alerts, and what was delivered to them."""

from api.openapi.links import Link
from api.resource import Documentation, Resource
from api.resources.webhooks import delivery_routes, routes
from api.resources.webhooks.examples import ANSWERS
from api.resources.webhooks.problems import ERROR_ANSWERS
from api.resources.webhooks.service import WebhookService
from delivery.webhooks.removal import scrub_webhooks

_WEBHOOK = {"webhook_id": "$response.body#/id"}
_DELIVERY = {"webhook_id": "$request.path.webhook_id", "delivery_id": "$response.body#/id"}
_OF_A_WEBHOOK = (
    "get_webhook",
    "change_webhook",
    "send_test_message",
    "rotate_webhook_secret",
    "list_webhook_deliveries",
    "replay_webhook",
    "delete_webhook",
)

RESOURCE = Resource(
    name="webhooks",
    seldom_routers=[routes.router, delivery_routes.router],
    services=[lambda services: WebhookService(services.reader)],
    errors=ERROR_ANSWERS,
    scrubbers=[scrub_webhooks],  # after the log of alerts, which they are made from
    documentation=Documentation(
        tags={"webhooks": "Endpoints that receive alerts, following the Standard Webhooks specification."},
        answers=ANSWERS,
        parameters={"webhook_id": "ep_92a7570a1c1d1a50", "delivery_id": "test-a22020dd11d35682"},
        links=[
            *(Link("create_webhook", "201", operation, _WEBHOOK) for operation in _OF_A_WEBHOOK),
            Link("send_test_message", "200", "get_webhook_delivery", _DELIVERY),
            Link("send_test_message", "200", "resend_webhook_delivery", _DELIVERY),
        ],
    ),
)
