"""What a sender must agree on with the state of the workers: the number of partitions it lies in."""

import redis

from connections.redis import open_redis
from contracts.keys import Keys
from contracts.settings import Settings
from producers.sender import SendFailed


def recorded_partitions(settings: Settings) -> int | None:
    """In how many partitions the state of the workers lies; None if there is none, or Redis does not say."""
    try:
        with open_redis(settings, timeout_s=2.0, connect_timeout_s=2.0, decode_responses=True) as client:
            stored = client.hget(Keys(settings.namespace, settings.partitions).installation(), "partitions")
    except (redis.RedisError, OSError):
        return None
    return int(str(stored)) if stored is not None and str(stored).isdecimal() else None


def check_partitions(settings: Settings) -> None:
    """Raise `SendFailed` if the state lies in another number of partitions than the settings say.

    Every event would come where its visitor is not, and be refused. Without Redis nobody can say.
    """
    stored = recorded_partitions(settings)
    if stored is not None and stored != settings.partitions:
        raise SendFailed(
            f"the workers' state has {stored} partitions, STOREPULSE_PARTITIONS says "
            f"{settings.partitions}: set it to {stored}"
        )
