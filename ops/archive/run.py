"""`storepulse archive`: the process that keeps events in files, with its own metrics and health."""

import asyncio
import logging
import signal

from archive.announcing import Announcer
from archive.archiver import Archiver
from archive.intake import FlushLimits
from archive.metrics import ArchiveMetrics
from archive.topics_reader import UnusableTopics
from connections.asyncio_redis import open_redis_pool
from connections.kafka_check import require_kafka
from connections.kafka_rights import Rights
from contracts.extensions import load_contracts
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import DELETIONS, archived_topics
from sources.archive.stores import ArchiveError, ArchiveStore, open_store
from stream.runtime.probe import Probe

EXIT_ERROR = 1
_log = logging.getLogger(__name__)


def run(settings: Settings, *, once: bool) -> int:
    """Archive until SIGTERM or SIGINT, or `once` up to what is there now; the exit code.

    Raises `connections.troubles.ConnectionRefused`.
    """
    load_contracts(settings)  # which may register topics
    try:
        store = open_store(settings.archive)
        with store.hold():
            asyncio.run(_main(settings, store, once=once))
    except (ArchiveError, UnusableTopics) as exc:
        _log.error("%s", exc)
        return EXIT_ERROR
    return 0


async def _main(settings: Settings, store: ArchiveStore, *, once: bool) -> None:
    names = [settings.topic_prefix + name for name in (*archived_topics(), DELETIONS)]
    await require_kafka(settings, Rights(reads=names))
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    redis = open_redis_pool(settings)
    metrics = ArchiveMetrics()
    announcer = Announcer(redis, Keys(settings.namespace, settings.partitions), store.location)
    limits = FlushLimits(settings.archive_flush_s, settings.archive_flush_rows)
    archiver = Archiver(settings, store, metrics, announcer, limits=limits)
    probe = Probe(
        settings.archive_host,
        settings.archive_port,
        metrics.registry,
        lambda: archiver.is_alive() and not stopping.is_set(),
        lambda: archiver.trouble,
    )
    probe.start()
    _log.info("events are archived in %s, metrics on port %d", store.location, probe.port)
    try:
        await archiver.run(stopping, once=once)
    finally:
        await redis.aclose()
        probe.stop()
