"""The stream: Kafka records in, session and demand state in Redis out."""
