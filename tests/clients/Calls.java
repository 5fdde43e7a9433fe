import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.*;
import org.openapitools.client.model.*;

/** Ten routes and more by the generated client, a line for each. */
public class Calls {
    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("API_URL"));
        String key = "Bearer " + System.getenv("API_KEY");
        client.setRequestInterceptor(request -> request.header("Authorization", key));
        EventsApi events = new EventsApi(client);
        Event event = new Event()
            .eventType(EventType.CART)
            .userId(new Identifier("java-1"))
            .productId(new Identifier("p1"))
            .price(new Price("19.90"))
            .currency(Currency.EUR);
        tell("post_events", events.postEvents(new EventsBody(event), null, null, null).getAccepted());
        OrderEvent order = new OrderEvent()
            .eventType(EventType.PURCHASE)
            .userId(new Identifier(17L))
            .orderId(new Identifier("o-java"))
            .eventTime(new EventTime(System.currentTimeMillis()))
            .items(List.of(new OrderItem().productId(new Identifier(2L)).price(new Price("5"))));
        EventBatch batch = new EventBatch().batch(List.of(new AnyEvent(event), new AnyEvent(order)));
        tell("post_batch", events.postEvents(new EventsBody(batch), null, null, null).getAccepted());
        WholeOrder whole = wholeOrder(WholeOrderType.PURCHASE, "30.00");
        tell("post_whole_order", events.postEvents(new EventsBody(whole), null, null, null).getAccepted());
        AnyEvent refund = new AnyEvent(wholeOrder(WholeOrderType.REFUND, "12.50"));
        EventsBody refunds = new EventsBody(new EventBatch().batch(List.of(refund)));
        tell("post_refund", events.postEvents(refunds, null, null, null).getAccepted());
        LiveApi live = new LiveApi(client);
        tell("get_live", live.getLive().getWorkers().size());
        tell("get_trending", live.getTrending(PAGE).getProducts().size());
        PredictionsApi predictions = new PredictionsApi(client);
        tell("get_models", predictions.getModels().getModels().size());
        SequenceAction action = new SequenceAction().eventType(EventType.CART).productId(new Identifier("p1"));
        ActionSequence sequence =
            new ActionSequence().actions(List.of(new AnyAction("view"), new AnyAction(action)));
        tell("predict_next_action", predictions.predictNextAction(sequence).getActions());
        AlertsApi alerts = new AlertsApi(client);
        AlertPage page = alerts.getAlerts(null, null, Severity.LOW, null, null, null, null, null, null, null, PAGE, null);
        tell("get_alerts", page.getAlerts().size());
        tell("get_alert", alerts.getAlert(page.getAlerts().get(0).getAlertId()).getSteps().size());
        VisitorsApi visitors = new VisitorsApi(client);
        tell("get_user", visitors.getUser("visitor-17").getUserId());
        tell("get_user_next_action", visitors.getUserNextAction("visitor-17").getModel());
        tell("get_demand", new ProductsApi(client).getDemand("p2", "hour", null, null).getBuckets().size());
        WebhooksApi webhooks = new WebhooksApi(client);
        NewWebhook wanted = new NewWebhook()
            .url(java.net.URI.create(System.getenv("RECEIVER_URL")))
            .kinds(List.of(AlertKind.CART_ABANDONED))
            .minValueMinor(5000L);
        WebhookWithSecret made = webhooks.createWebhook(wanted);
        tell("create_webhook", made.getMinValueMinor());
        tell("list_webhooks", webhooks.listWebhooks().getWebhooks().stream().anyMatch(w -> w.getId().equals(made.getId())));
        webhooks.deleteWebhook(made.getId());
        tell("delete_webhook", "done");
    }

    private static final Long PAGE = 2L;

    private static WholeOrder wholeOrder(WholeOrderType type, String total) {
        return new WholeOrder()
            .eventType(type)
            .userId(new Identifier(17L))
            .orderId(new Identifier("whole-java"))
            .total(new Amount(total))
            .currency(Currency.EUR);
    }

    private static void tell(String name, Object value) {
        System.out.println(name + " " + value);
    }
}
