"""Where an answer leads: which of its fields is a parameter of which other operation."""

from typing import Any, NamedTuple


class Link(NamedTuple):
    """From the answer of one operation to another; `parameters` are runtime expressions of OpenAPI."""

    source: str
    status: str
    target: str
    parameters: dict[str, str]


_ALERT = {"alert_id": "$response.body#/alerts/0/alert_id"}
_WEBHOOK = {"webhook_id": "$response.body#/id"}
_DELIVERY = {"webhook_id": "$request.path.webhook_id", "delivery_id": "$response.body#/id"}
_WEBHOOK_TARGETS = (
    "get_webhook",
    "change_webhook",
    "send_test_message",
    "rotate_webhook_secret",
    "list_webhook_deliveries",
    "replay_webhook",
    "delete_webhook",
)
_ALERT_TARGETS = (
    "get_alert",
    "acknowledge_alert",
    "withdraw_acknowledgement",
    "snooze_alert",
    "end_snooze",
    "judge_alert",
    "withdraw_feedback",
)
LINKS = (
    *(Link("create_webhook", "201", target, _WEBHOOK) for target in _WEBHOOK_TARGETS),
    Link("send_test_message", "200", "get_webhook_delivery", _DELIVERY),
    Link("send_test_message", "200", "resend_webhook_delivery", _DELIVERY),
    *(Link("get_alerts", "200", target, _ALERT) for target in _ALERT_TARGETS),
    Link("get_alerts", "200", "get_user", {"user_id": "$response.body#/alerts/0/user_id"}),
    Link("get_alerts", "200", "get_alerts", {"after": "$response.body#/next"}),
    Link("create_stream_ticket", "201", "stream_alerts", {"ticket": "$response.body#/ticket"}),
    Link("delete_visitor", "202", "get_deletion", {"deletion_id": "$response.body#/deletion_id"}),
    Link("get_trending", "200", "get_demand", {"product_id": "$response.body#/products/0/product_id"}),
)


def add_links(document: dict[str, Any]) -> None:
    """Adds the links whose two ends are in the document."""
    operations = {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for operation in item.values()
        if "operationId" in operation
    }
    for source, status, target, parameters in LINKS:
        if source in operations and target in operations:
            links = operations[source]["responses"][status].setdefault("links", {})
            links[target] = {"operationId": target, "parameters": parameters}
