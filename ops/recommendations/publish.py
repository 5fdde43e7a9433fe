"""`storepulse publish`: the process that publishes recommendations, with its own metrics and health."""

import asyncio
import logging
import os
import signal

from connections.asyncio_redis import open_redis_pool
from contracts.extensions import load_contracts
from contracts.keys import Keys
from contracts.settings import Settings
from models.next_item.source import NEXT_ITEM, next_item_source
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from publishing.metrics import PublishingMetrics
from publishing.publisher import Publisher
from readers.model_lifecycle import ModelLifecycle
from readers.reader import Reader
from readers.recommendations.feed import RecommendationFeed
from readers.recommendations.live import LiveRecommendations
from readers.recommendations.ranking import Ranking
from stream.jobs.store import RedisJobStore
from stream.runtime.probe import Probe

NICENESS = 10
"""Nobody waits for a list: workers, Redis and API come first."""
EXIT_USAGE = 2
_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Publish until SIGTERM or SIGINT: then the exit code is 0."""
    import uvloop

    if not settings.recommendation_interval_s:
        _log.error("nothing is to be published: STOREPULSE_RECOMMENDATION_INTERVAL_S is 0")
        return EXIT_USAGE
    load_contracts(settings)
    os.nice(max(0, NICENESS - os.nice(0)))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(settings))
    return 0


async def _main(settings: Settings) -> None:
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    redis = open_redis_pool(settings)
    reader, metrics = Reader(redis, settings), PublishingMetrics()
    feed = RecommendationFeed(make_index(compiled=settings.compiled), CatalogueView())
    lifecycle = ModelLifecycle(settings)
    champion = lifecycle.champion(NEXT_ITEM, next_item_source(settings.next_item_dir))
    live = LiveRecommendations(reader, feed, Ranking(champion, lifecycle.wait))
    store = RedisJobStore(redis, Keys(settings.namespace, settings.partitions))
    publisher = Publisher(reader, live, store, metrics)
    probe = Probe(
        settings.publish_host,
        settings.publish_port,
        metrics.registry,
        lambda: publisher.is_alive() and not stopping.is_set(),
        lambda: publisher.trouble,
    )
    probe.start()
    lifecycle.start()
    _log.info("recommendations are published, metrics on port %d", probe.port)
    try:
        await publisher.run(stopping)
    finally:
        await lifecycle.close()
        await redis.aclose()
        probe.stop()
