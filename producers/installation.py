"""What a sender must agree on with the state of the workers: the number of partitions it lies in."""

import redis

from connections.redis import open_redis
from contracts.keys import Keys
from contracts.settings import Settings
from producers.sender import SendFailed


def check_partitions(settings: Settings) -> None:
    """Raise `SendFailed` if the state lies in another number of partitions than the settings say.

    Every event would come where its visitor is not, and be refused. Without Redis nobody can say.
    """
    with open_redis(settings, timeout_s=2.0, connect_timeout_s=2.0, decode_responses=True) as client:
        try:
            stored = client.hget(Keys(settings.namespace, settings.partitions).installation(), "partitions")
        except redis.RedisError:
            return
    if stored is not None and int(str(stored)) != settings.partitions:
        raise SendFailed(
            f"the workers' state has {stored} partitions, STOREPULSE_PARTITIONS says "
            f"{settings.partitions}: set it to {stored}"
        )
