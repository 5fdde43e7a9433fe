"""What must hold before a part starts: no service refuses us. One that is away may still come."""

import asyncio

from connections.asyncio_redis import open_redis_pool
from connections.kafka_check import require_kafka
from connections.kafka_rights import Rights
from connections.redis_check import require_redis
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics


def require_services(settings: Settings, *, kafka: bool = True) -> None:
    """Raises `ConnectionRefused` where a password, a certificate or rights are wrong."""
    asyncio.run(_require(settings, kafka=kafka))


async def _require(settings: Settings, *, kafka: bool) -> None:
    redis = open_redis_pool(settings)
    try:
        await require_redis(redis, Keys(settings.namespace, settings.partitions).write_probe())
    finally:
        await redis.aclose()
    if kafka and settings.kafka_protocol != "PLAINTEXT":
        topics = Topics(settings.topic_prefix)
        writes = (*topics.events, topics.products, topics.deletions, topics.exposures)
        await require_kafka(settings, Rights(writes=writes))
