"""Ten routes and more by the generated client, a line for each."""

import os
import time
from datetime import UTC

import openapi_client as made
from openapi_client import models


def tell(name: str, value: object) -> None:
    print(name, value)  # noqa: T201  # what the test reads


configuration = made.Configuration(host=os.environ["API_URL"], access_token=os.environ["API_KEY"])
with made.ApiClient(configuration) as client:
    events, webhooks = made.EventsApi(client), made.WebhooksApi(client)
    event = models.Event(
        event_type=models.EventType.CART,
        user_id=models.Identifier("py-1"),
        product_id=models.Identifier("p1"),
        price=models.Price("19.90"),
        currency=models.Currency.EUR,
    )
    tell("post_events", events.post_events(models.EventsBody(event)).accepted)
    items = [models.OrderItem(product_id=models.Identifier(2), price=models.Price(5.0))]
    order = models.OrderEvent(
        event_type=models.EventType.PURCHASE,
        user_id=models.Identifier(17),
        order_id=models.Identifier("o-py"),
        event_time=models.EventTime(int(time.time() * 1_000)),
        items=items,
    )
    batch = models.EventBatch(batch=[models.AnyEvent(event), models.AnyEvent(order)])
    tell("post_batch", events.post_events(models.EventsBody(batch)).accepted)
    whole = models.WholeOrder(
        event_type=models.WholeOrderType.PURCHASE,
        user_id=models.Identifier(17),
        order_id=models.Identifier("whole-python"),
        total=models.Amount("30.00"),
        currency=models.Currency.EUR,
    )
    refund = whole.model_copy(
        update={"event_type": models.WholeOrderType.REFUND, "total": models.Amount("12.50")}
    )
    tell("post_whole_order", events.post_events(models.EventsBody(whole)).accepted)
    refunds = models.EventBatch(batch=[models.AnyEvent(refund)])
    tell("post_refund", events.post_events(models.EventsBody(refunds)).accepted)
    live, predictions = made.LiveApi(client), made.PredictionsApi(client)
    moment = live.get_live()
    assert moment.as_of.astimezone(UTC) is not None
    tell("get_live", len(moment.workers))
    tell("get_trending", len(live.get_trending(limit=3).products))
    tell("get_models", len(predictions.get_models().models))
    action = models.SequenceAction(event_type=models.EventType.CART, product_id=models.Identifier("p1"))
    sequence = models.ActionSequence(actions=[models.AnyAction("view"), models.AnyAction(action)])
    tell("predict_next_action", predictions.predict_next_action(sequence).actions)
    alerts = made.AlertsApi(client)
    page = alerts.get_alerts(limit=2, min_severity=models.Severity.LOW)
    tell("get_alerts", len(page.alerts))
    tell("get_alert", len(alerts.get_alert(page.alerts[0].alert_id).steps))
    visitors = made.VisitorsApi(client)
    tell("get_user", visitors.get_user("visitor-17").user_id)
    tell("get_user_next_action", visitors.get_user_next_action("visitor-17").model)
    tell("get_demand", len(made.ProductsApi(client).get_demand("p2", grain="hour").buckets))
    wanted = models.NewWebhook(
        url=os.environ["RECEIVER_URL"], kinds=[models.AlertKind.CART_ABANDONED], min_value_minor=5_000
    )
    webhook = webhooks.create_webhook(wanted)
    tell("create_webhook", webhook.min_value_minor)
    tell("list_webhooks", webhook.id in [one.id for one in webhooks.list_webhooks().webhooks])
    webhooks.delete_webhook(webhook.id)
    tell("delete_webhook", "done")
