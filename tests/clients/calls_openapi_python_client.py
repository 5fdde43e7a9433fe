"""Ten routes and more by the generated client, a line for each."""

import os
from io import BytesIO
from typing import TypeVar

from storepulse_client import AuthenticatedClient
from storepulse_client.api.alerts import get_alert, get_alerts
from storepulse_client.api.events import post_events
from storepulse_client.api.live import get_live, get_trending
from storepulse_client.api.predictions import get_models, predict_next_action
from storepulse_client.api.products import get_demand
from storepulse_client.api.visitors import get_user, get_user_next_action
from storepulse_client.api.webhooks import create_webhook, delete_webhook, list_webhooks
from storepulse_client.models import (
    ActionSequence,
    Alert,
    AlertKind,
    AlertLife,
    AlertPage,
    Currency,
    Demand,
    Event,
    EventBatch,
    EventType,
    GetDemandGrain,
    Live,
    ModelReport,
    NewWebhook,
    OrderEvent,
    OrderItem,
    PredictedAction,
    Receipt,
    SequenceAction,
    Severity,
    Trending,
    UserNextAction,
    VisitorState,
    WebhookList,
    WebhookWithSecret,
    WholeOrder,
    WholeOrderType,
)
from storepulse_client.types import File

T = TypeVar("T")


def tell(name: str, value: object) -> None:
    print(name, value)  # noqa: T201  # what the test reads


def be(kind: type[T], answer: object) -> T:
    assert isinstance(answer, kind), answer
    return answer


client = AuthenticatedClient(os.environ["API_URL"], token=os.environ["API_KEY"])
event = Event(
    event_type=EventType.CART, user_id="opc-1", product_id="p1", price="19.90", currency=Currency.EUR
)
tell("post_events", be(Receipt, post_events.sync(client=client, body=event)).accepted)
order = OrderEvent(
    event_type=EventType.PURCHASE, user_id=17, order_id="o-opc", items=[OrderItem(product_id=2, price=5.0)]
)
batch = EventBatch(batch=[event, order])
tell("post_batch", be(Receipt, post_events.sync(client=client, body=batch)).accepted)
whole, refund = (
    WholeOrder(
        event_type=kind,
        user_id=17,
        order_id="whole-openapi-python-client",
        total=total,
        currency=Currency.EUR,
    )
    for kind, total in ((WholeOrderType.PURCHASE, "30.00"), (WholeOrderType.REFUND, "12.50"))
)
tell("post_whole_order", be(Receipt, post_events.sync(client=client, body=whole)).accepted)
refunds = EventBatch(batch=[refund])
tell("post_refund", be(Receipt, post_events.sync(client=client, body=refunds)).accepted)
lines = File(BytesIO(b'{"event_type":"view","user_id":"opc-1","product_id":"p1"}\n'))
tell("post_lines", post_events.sync_detailed(client=client, body=lines).status_code)
tell("get_live", len(be(Live, get_live.sync(client=client)).workers))
tell("get_trending", len(be(Trending, get_trending.sync(client=client, limit=3)).products))
tell("get_models", len(be(ModelReport, get_models.sync(client=client)).models))
sequence = ActionSequence(actions=["view", SequenceAction(event_type=EventType.CART, product_id="p1")])
predicted = be(PredictedAction, predict_next_action.sync(client=client, body=sequence))
tell("predict_next_action", predicted.actions)
page = be(AlertPage, get_alerts.sync(client=client, limit=2, min_severity=Severity.LOW))
tell("get_alerts", len(page.alerts))
step = be(Alert, page.alerts[0])
tell("get_alert", len(be(AlertLife, get_alert.sync(step.alert_id, client=client)).steps))
tell("get_user", be(VisitorState, get_user.sync("visitor-17", client=client)).user_id)
tell("get_user_next_action", be(UserNextAction, get_user_next_action.sync("visitor-17", client=client)).model)
demand = get_demand.sync("p2", client=client, grain=GetDemandGrain.HOUR)
tell("get_demand", len(be(Demand, demand).buckets))
wanted = NewWebhook(url=os.environ["RECEIVER_URL"], kinds=[AlertKind.CART_ABANDONED], min_value_minor=5_000)
webhook = be(WebhookWithSecret, create_webhook.sync(client=client, body=wanted))
tell("create_webhook", webhook.min_value_minor)
known = be(WebhookList, list_webhooks.sync(client=client)).webhooks
tell("list_webhooks", webhook.id in [one.id for one in known])
delete_webhook.sync_detailed(webhook.id, client=client)
tell("delete_webhook", "done")
