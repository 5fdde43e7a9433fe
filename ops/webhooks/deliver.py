"""`storepulse deliver`: the process that sends webhooks, with its own metrics and health."""

import asyncio
import logging
import signal

from connections.asyncio_redis import open_redis_pool
from contracts.extensions import load_contracts
from contracts.settings import Settings
from delivery.webhooks.deliverer import Deliverer
from delivery.webhooks.metrics import WebhookMetrics
from delivery.webhooks.policy import delivery_policy_of
from delivery.webhooks.sender import Sender
from delivery.webhooks.targets import target_rules_of
from readers.reader import Reader
from stream.runtime.probe import Probe

_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Deliver until SIGTERM or SIGINT: what is under way may end, then the exit code is 0."""
    import uvloop

    load_contracts(settings)  # alerts of extensions are to be understood
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(settings))
    return 0


async def _main(settings: Settings) -> None:
    load_contracts(settings)  # kinds of alerts, which webhooks name
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    redis = open_redis_pool(settings)
    metrics = WebhookMetrics()
    sender = Sender(target_rules_of(settings), timeout_s=settings.webhook_timeout_s)
    deliverer = Deliverer(Reader(redis, settings), sender, delivery_policy_of(settings), metrics)
    probe = Probe(
        settings.deliver_host,
        settings.deliver_port,
        metrics.registry,
        lambda: deliverer.is_alive() and not stopping.is_set(),
        deliverer.redis.describe,
    )
    probe.start()
    _log.info("%s delivers webhooks, metrics on port %d", deliverer.holder, probe.port)
    if settings.webhook_allow_private:
        level = logging.WARNING if settings.durable else logging.INFO  # nothing real runs in memory
        _log.log(level, "webhooks may go to private addresses: this is for development only")
    try:
        await deliverer.run(stopping)
    finally:
        await redis.aclose()
        probe.stop()
