"""Alerts: read, streamed, exported and handled."""

from api.openapi.links import Link
from api.resource import Documentation, Resource
from api.resources.alerts import handling_routes, routes, stream_routes
from api.resources.alerts.examples import ANSWERS, HANDLING_OPERATIONS
from api.resources.alerts.feed import AlertFeed
from api.resources.alerts.problems import ERROR_ANSWERS
from readers.alerts.removal import scrub_alerts, scrub_mutes
from readers.alerts.schemas import EXAMPLE

_ALERT = {"alert_id": "$response.body#/alerts/0/alert_id"}

RESOURCE = Resource(
    name="alerts",
    routers=[stream_routes.router, routes.router, handling_routes.router],
    direct_routers=[routes.direct],
    services=[lambda services: AlertFeed(services.reader, services.lifetime.closing)],
    errors=ERROR_ANSWERS,
    scrubbers=[scrub_alerts, scrub_mutes],
    documentation=Documentation(
        tags={"alerts": "Visitors about to leave and abandoned carts: read, stream, export, handle."},
        answers=ANSWERS,
        parameters={"alert_id": EXAMPLE["alert_id"]},
        links=[
            *(
                Link("get_alerts", "200", operation, _ALERT)
                for operation in ("get_alert", *HANDLING_OPERATIONS)
            ),
            Link("get_alerts", "200", "get_user", {"user_id": "$response.body#/alerts/0/user_id"}),
            Link("get_alerts", "200", "get_alerts", {"after": "$response.body#/next"}),
            Link("create_stream_ticket", "201", "stream_alerts", {"ticket": "$response.body#/ticket"}),
        ],
    ),
)
