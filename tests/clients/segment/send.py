"""Sends a view and an order with Segment's library for Python: send.py URL KEY USER."""

import sys

import segment.analytics as analytics

_, analytics.host, analytics.write_key, user = sys.argv
analytics.max_retries = 2
analytics.on_error = lambda error, _: sys.exit(str(error))
product = {"product_id": "p1", "price": 10, "quantity": 2}
analytics.track(user, "Product Viewed", product)
analytics.track(
    user,
    "Order Completed",
    {"order_id": f"o-{user}", "total": 20, "currency": "EUR", "products": [product]},
)
analytics.shutdown()
