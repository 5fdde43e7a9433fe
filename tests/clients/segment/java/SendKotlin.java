// Sends a view and an order with Segment's library for Kotlin: SendKotlin HOST:PORT KEY USER
import com.segment.analytics.kotlin.core.RequestFactory;
import com.segment.analytics.kotlin.core.compat.ConfigurationBuilder;
import com.segment.analytics.kotlin.core.compat.JavaAnalytics;
import java.net.HttpURLConnection;
import java.util.List;
import java.util.Map;

public class SendKotlin {
  // The library only speaks https; the API under test has no certificate.
  static class Plain extends RequestFactory {
    public HttpURLConnection openConnection(String url) {
      return super.openConnection(url.replace("https://", "http://"));
    }
  }

  public static void main(String[] args) throws Exception {
    JavaAnalytics analytics = new JavaAnalytics(new ConfigurationBuilder(args[1])
        .setApplication("app").setApiHost(args[0] + "/v1").setCdnHost(args[0] + "/v1")
        .setRequestFactory(new Plain()).setFlushAt(1).setFlushInterval(1).build());
    Map<String, Object> product = Map.of("product_id", "p1", "price", 10.0, "quantity", 2);
    analytics.identify(args[2], Map.of());
    analytics.track("Product Viewed", product);
    analytics.track("Order Completed", Map.of(
        "order_id", "o-" + args[2], "total", 20.0, "currency", "EUR", "products", List.of(product)));
    for (int n = 0; n < 10; n++) {
      Thread.sleep(500);
      analytics.flush();
    }
    System.exit(0);
  }
}
