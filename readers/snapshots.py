"""Snapshots that jobs beside the stream made of subjects (`contracts.snapshots`)."""

import asyncio
from collections.abc import Sequence

from contracts.snapshots import Snapshot, decode_snapshot
from readers.reader import Reader


async def read_snapshots(reader: Reader, job: str, subject_ids: Sequence[str]) -> list[Snapshot | None]:
    """The newest snapshot of each subject, in their order; None of one that has none.

    Raises `redis.RedisError`, or `contracts.snapshots.InvalidSnapshot` for what no job of ours wrote.
    """
    keys = [reader.keys.snapshot(job, subject_id).encode() for subject_id in subject_ids]
    blobs = await asyncio.gather(*[reader.ask(b"GET", key) for key in keys])
    return [None if blob is None else decode_snapshot(blob) for blob in blobs]
