"""What the archive tells the installation: that it is there, and of which deletions it is clear.

A deletion is not done before every archive that has told of itself is clear of it.
"""

import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from connections.redis_troubles import redis_trouble
from contracts.archives import ArchiveState, Clearance, encode_archive
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from sources.archive.manifest import Manifest

EVERY_S = 5.0
_log = logging.getLogger(__name__)


class Announcer:
    """Writes the state of an archive to Redis; while Redis is away, later."""

    def __init__(self, redis: Redis, keys: Keys, location: str) -> None:
        self._redis = redis
        self._key = keys.archives()
        self._location = location
        self._is_told = True

    async def tell(self, manifest: Manifest) -> None:
        """Tell how it is now."""
        state = ArchiveState(
            manifest.archive_id,
            self._location,
            wall_clock_ms(),
            manifest.rows,
            manifest.deletions,
            {
                one.digest: Clearance(one.files, one.removed, one.left, one.at_ms)
                for one in manifest.cleared
                if one.at_ms
            },
        )
        try:
            await self._redis.hset(self._key, state.archive_id, encode_archive(state))
        except (RedisError, OSError) as exc:
            if self._is_told:
                why = redis_trouble(exc) if isinstance(exc, RedisError) else exc
                _log.warning("deletions are told of later, Redis is away: %s", why)
            self._is_told = False
        else:
            self._is_told = True
