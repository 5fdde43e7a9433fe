"""How Redis and Kafka are reached: the one place where settings become clients or their arguments."""
