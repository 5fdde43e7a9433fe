// Sends a view and an order with Segment's library for Java: SendJava URL KEY USER
import com.segment.analytics.Analytics;
import com.segment.analytics.Callback;
import com.segment.analytics.messages.Message;
import com.segment.analytics.messages.TrackMessage;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

public class SendJava {
  public static void main(String[] args) throws Exception {
    CountDownLatch sent = new CountDownLatch(2);
    Callback callback = new Callback() {
      public void success(Message message) { sent.countDown(); }
      public void failure(Message message, Throwable error) { error.printStackTrace(); }
    };
    Analytics analytics = Analytics.builder(args[1]).endpoint(args[0]).callback(callback).build();
    Map<String, Object> product = Map.of("product_id", "p1", "price", 10.0, "quantity", 2);
    analytics.enqueue(TrackMessage.builder("Product Viewed").userId(args[2]).properties(product));
    analytics.enqueue(TrackMessage.builder("Order Completed").userId(args[2]).properties(
        Map.of("order_id", "o-" + args[2], "total", 20.0, "currency", "EUR", "products", List.of(product))));
    analytics.flush();
    boolean done = sent.await(30, TimeUnit.SECONDS);
    analytics.shutdown();
    System.exit(done ? 0 : 1);
  }
}
