"""What workers have learnt of visitors' answers (`models.online`), partition by partition."""

import asyncio

from connections.redis_troubles import is_code
from models.online.blob import InvalidLearned, Learned, unpack_learned
from readers.reader import Reader
from readers.unreadable import UNREADABLE


async def read_learned(reader: Reader, slot: str) -> list[Learned]:
    """What each partition has learnt for a model slot, of those that have; raises `redis.RedisError`."""
    keys = [reader.keys.learned(p, slot).encode() for p in reader.partitions]
    blobs = await asyncio.gather(*[reader.ask(b"GET", key) for key in keys], return_exceptions=True)
    return [learned for blob in blobs if (learned := _decode(blob)) is not None]


def _decode(blob: bytes | BaseException | None) -> Learned | None:
    if isinstance(blob, BaseException):
        if not is_code(blob, "WRONGTYPE"):
            raise blob
        UNREADABLE.note("what was learnt", "it has the wrong type")
        return None
    try:
        return None if blob is None else unpack_learned(blob)
    except InvalidLearned as exc:  # the next worker begins anew
        UNREADABLE.note("what was learnt", exc)
        return None
