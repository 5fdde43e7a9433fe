// Ten routes and more by the generated client, a line for each.
import { Configuration, AlertsApi, EventsApi, LiveApi, PredictionsApi, ProductsApi, VisitorsApi, WebhooksApi } from "./client";

declare const process: { env: Record<string, string> };

// In a function: Node resolves imports without the endings of files as CommonJS only, which cannot await at the top.
async function main() {
  const { API_URL: basePath, API_KEY: accessToken, RECEIVER_URL: url } = process.env;
  const configuration = new Configuration({ basePath, accessToken });
  const events = new EventsApi(configuration);
  const webhooks = new WebhooksApi(configuration);
  const tell = (name: string, value: unknown) => console.log(`${name} ${value}`);

  const event = { eventType: "cart", userId: "ts-1", productId: "p1", price: "19.90", currency: "EUR" } as const;
  tell("post_events", (await events.postEvents({ eventsBody: event })).accepted);
  const order = { eventType: "purchase", userId: 17, orderId: "o-ts", items: [{ productId: "p1", price: 5 }, { productId: 2 }] } as const;
  const batch = { batch: [{ ...event, eventTime: Date.now() }, { ...order, items: [...order.items] }] };
  tell("post_batch", (await events.postEvents({ eventsBody: batch })).accepted);

  const whole = { eventType: "purchase", userId: 17, orderId: "whole-typescript", total: "30.00", currency: "EUR" } as const;
  const refund = { eventType: "refund", userId: 17, orderId: "whole-typescript", total: "12.50", currency: "EUR" } as const;
  tell("post_whole_order", (await events.postEvents({ eventsBody: whole })).accepted);
  tell("post_refund", (await events.postEvents({ eventsBody: { batch: [refund] } })).accepted);

  const live = new LiveApi(configuration);
  tell("get_live", (await live.getLive()).workers.length);
  tell("get_trending", (await live.getTrending({ limit: 3 })).products.length);
  const predictions = new PredictionsApi(configuration);
  tell("get_models", (await predictions.getModels()).models.length);
  const sequence = { actions: ["view", { eventType: "cart", productId: "p1", price: 19.9 }] } as const;
  tell("predict_next_action", (await predictions.predictNextAction({ actionSequence: { actions: [...sequence.actions] } })).actions);
  const page = await new AlertsApi(configuration).getAlerts({ limit: 2, minSeverity: "low" });
  tell("get_alerts", page.alerts.length);
  tell("get_alert", (await new AlertsApi(configuration).getAlert({ alertId: page.alerts[0]!.alertId })).steps.length);
  const visitors = new VisitorsApi(configuration);
  tell("get_user", (await visitors.getUser({ userId: "visitor-17" })).userId);
  tell("get_user_next_action", (await visitors.getUserNextAction({ userId: "visitor-17" })).model);
  tell("get_demand", (await new ProductsApi(configuration).getDemand({ productId: "p2", grain: "hour" })).buckets.length);
  const made = await webhooks.createWebhook({ newWebhook: { url: url!, kinds: ["cart_abandoned"], minValueMinor: 5000 } });
  tell("create_webhook", made.minValueMinor);
  tell("list_webhooks", (await webhooks.listWebhooks()).webhooks.some(({ id }) => id === made.id));
  await webhooks.deleteWebhook({ webhookId: made.id });
  tell("delete_webhook", "done");
}

main().catch(async (error) => {
  throw new Error(`${error}: ${await error.response?.text()}`);
});
