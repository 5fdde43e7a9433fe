// Sends a view and an order with Segment's library for Go: segment URL KEY USER
package main

import (
	"log"
	"os"

	"github.com/segmentio/analytics-go/v3"
)

func main() {
	url, key, user := os.Args[1], os.Args[2], os.Args[3]
	client, err := analytics.NewWithConfig(key, analytics.Config{Endpoint: url})
	if err != nil {
		log.Fatal(err)
	}
	product := map[string]interface{}{"product_id": "p1", "price": 10, "quantity": 2}
	order := analytics.NewProperties().Set("order_id", "o-"+user).Set("total", 20).Set("currency", "EUR").
		Set("products", []interface{}{product})
	for event, properties := range map[string]analytics.Properties{"Product Viewed": product, "Order Completed": order} {
		if err := client.Enqueue(analytics.Track{UserId: user, Event: event, Properties: properties}); err != nil {
			log.Fatal(err)
		}
	}
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
}
