"""The archives of events that an installation has, as each of them last reported."""

from typing import Any

from contracts.archives import ArchiveState, decode_archive
from readers.reader import Reader
from readers.unreadable import UNREADABLE


async def read_archives(reader: Reader) -> list[ArchiveState]:
    """All archives that were not given up; raises `redis.RedisError`."""
    found: Any = await reader.redis.hgetall(reader.keys.archives())
    archives = []
    for raw in found.values():
        try:
            archives.append(decode_archive(raw))
        except (ValueError, KeyError, TypeError) as exc:  # its process reports again in a few seconds
            UNREADABLE.note("what an archive reported", exc)
    return sorted(archives, key=lambda archive: archive.archive_id)
