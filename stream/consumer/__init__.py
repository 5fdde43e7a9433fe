"""From Kafka into the worker: Faust's group, fetched records in batches, the logs' bounds and ends."""
