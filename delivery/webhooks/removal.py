"""Removing a deleted visitor's traces from the deliveries of webhooks."""

from typing import Any

from delivery.webhooks.delivery_log import DeliveryLog
from readers.reader import Reader
from readers.removal import Trace


async def scrub_webhooks(reader: Reader, trace: Trace) -> dict[str, int]:
    """Webhook deliveries that speak of the visitor, waiting or logged."""
    endpoints: Any = await reader.redis.hkeys(reader.keys.webhook_endpoints())
    found = [await DeliveryLog(reader, one.decode()).forget(trace.user_id) for one in endpoints]
    return {"webhook_deliveries": sum(found)}
