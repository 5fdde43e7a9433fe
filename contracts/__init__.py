"""What producers, stream, models and API share: events, partitions, keys, state blobs, settings."""
