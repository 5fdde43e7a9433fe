"""Orders: each counts once, in the minute of its earliest line."""

from contracts.events import Event
from contracts.keys import Metric, bucket_start
from contracts.visitor import digest_of
from stream.batch.counts import Counts
from stream.visitors.session import MAX_ORDERS


def count_order(counts: Counts, orders: dict[bytes, int], event: Event) -> dict[bytes, int]:
    """Count the order of this line once, in the minute of its earliest line; returns all known orders.

    Lines without an `order_id` are one order if the same visitor bought them in the same millisecond.
    """
    at_ms = event.event_time_ms
    order = digest_of(event.order_id if event.order_id is not None else f"@{at_ms}")
    known_ms = orders.get(order)
    if known_ms is not None and known_ms <= at_ms:
        return orders
    if known_ms is not None:
        counts.add_shop(bucket_start(known_ms, "minute"), Metric.ORDERS, -1)
    counts.add_shop(bucket_start(at_ms, "minute"), Metric.ORDERS, 1)
    return _newest(orders | {order: at_ms}, MAX_ORDERS)


def _newest(entries: dict[bytes, int], limit: int) -> dict[bytes, int]:
    """The last `limit` entries in order of insertion."""
    if len(entries) <= limit:
        return entries
    return dict(list(entries.items())[-limit:])
