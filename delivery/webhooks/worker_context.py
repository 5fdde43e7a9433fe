"""What every worker of a process that delivers shares."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from zoneinfo import ZoneInfo

from connections.redis_health import RedisHealth
from delivery.webhooks.deliveries import Attempt
from delivery.webhooks.endpoints import DisabledReason, Endpoint
from delivery.webhooks.messages import Message
from delivery.webhooks.metrics import WebhookMetrics
from delivery.webhooks.policy import DeliveryPolicy
from readers.reader import Reader

Send = Callable[[Endpoint, Message], Awaitable[Attempt]]
Disable = Callable[[Endpoint, DisabledReason], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """How workers send, disable, wait and count; `holder` names the process."""

    reader: Reader
    send: Send
    disable: Disable
    policy: DeliveryPolicy
    metrics: WebhookMetrics
    holder: str
    redis: RedisHealth
    zone: ZoneInfo
    """Of quiet hours."""
    random: Random = field(default_factory=Random)
