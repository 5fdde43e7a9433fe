"""What every lane of a process that delivers shares."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from delivery.webhooks.endpoints import DisabledReason, Endpoint
from delivery.webhooks.messages import Message
from delivery.webhooks.metrics import WebhookMetrics
from delivery.webhooks.outcomes import Attempt
from delivery.webhooks.policy import Policy
from readers.reader import Reader

Send = Callable[[Endpoint, Message], Awaitable[Attempt]]
Disable = Callable[[Endpoint, DisabledReason], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LaneTools:
    """How lanes send, disable, wait and count; `holder` names the process."""

    reader: Reader
    send: Send
    disable: Disable
    policy: Policy
    metrics: WebhookMetrics
    holder: str
    random: Random = field(default_factory=Random)
