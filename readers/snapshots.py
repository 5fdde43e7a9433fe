"""Snapshots that jobs beside the stream made of subjects (`contracts.snapshots`)."""

import asyncio
from collections.abc import Sequence

from connections.redis_troubles import is_code
from contracts.snapshots import InvalidSnapshot, Snapshot, decode_snapshot
from readers.reader import Reader
from readers.unreadable import UNREADABLE


async def read_snapshots(reader: Reader, job: str, subject_ids: Sequence[str]) -> list[Snapshot | None]:
    """The newest snapshot of each subject, in their order; None of one that has none that can be read.

    Raises `redis.RedisError`.
    """
    keys = [reader.keys.snapshot(job, subject_id).encode() for subject_id in subject_ids]
    blobs = await asyncio.gather(*[reader.ask(b"GET", key) for key in keys], return_exceptions=True)
    return [_decode(blob) for blob in blobs]


def _decode(blob: bytes | BaseException | None) -> Snapshot | None:
    if isinstance(blob, BaseException):
        if not is_code(blob, "WRONGTYPE"):
            raise blob
        UNREADABLE.note("a snapshot", "it has the wrong type")
        return None
    try:
        return None if blob is None else decode_snapshot(blob)
    except InvalidSnapshot as exc:  # the next run of its job writes over it
        UNREADABLE.note("a snapshot", exc)
        return None
