"""Read API: live figures, trending products, visitors and product demand from Redis."""
