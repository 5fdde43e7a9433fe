"""What running workers say of themselves."""

from typing import Any

from redis import Redis

from contracts.heartbeat import Heartbeat, from_hash
from contracts.keys import Keys
from contracts.settings import Settings


def read_heartbeats(client: Redis, settings: Settings) -> list[Heartbeat]:
    """Heartbeats of the workers that are there now; none for another engine's job."""
    keys = Keys(settings.namespace, settings.partitions)
    ids: Any = client.zrange(keys.workers(), 0, -1)
    found = []
    for worker_id in ids:
        fields: Any = client.hgetall(keys.worker(worker_id.decode()))
        if fields:
            found.append(from_hash({name.decode(): value.decode() for name, value in fields.items()}))
    return found
