"""The way of events from a request to Kafka."""
