"""Snapshots as readers find them, and what is none."""

import msgpack
import pytest
import redis.asyncio as redis

from contracts.keys import Keys
from contracts.snapshots import (
    InvalidSnapshot,
    Snapshot,
    decode_record,
    decode_snapshot,
    encode_record,
    encode_snapshot,
)
from contracts.subjects import product
from readers.reader import Reader
from readers.snapshots import read_snapshots
from services import unique_settings


async def test_snapshots_come_in_the_order_asked(redis_url: str) -> None:
    settings = unique_settings("127.0.0.1:1", redis_url, partitions=4)
    keys = Keys(settings.namespace, settings.partitions)
    async with redis.Redis.from_url(redis_url) as client:
        ids = [f"p{i}" for i in range(5)]
        for i, id_ in enumerate(ids):
            await client.set(
                keys.snapshot("stock", id_), encode_snapshot(2, 7, 1_000 + i, msgpack.packb(i)), ex=60
            )
        found = await read_snapshots(Reader(client, settings), "stock", [*reversed(ids), "none"])
    assert found == [*[Snapshot(2, 7, 1_000 + i, i) for i in (4, 3, 2, 1, 0)], None]


@pytest.mark.parametrize(
    "blob", [b"", b"\x01", b"\x93\x01\x02", b"\x92\x01\x02\x05", encode_snapshot(1, 2, 3, b"")]
)
def test_what_is_no_snapshot_is_said_to_be_none(blob: bytes) -> None:
    with pytest.raises(InvalidSnapshot, match=f"{len(blob)} bytes are not a snapshot"):
        decode_snapshot(blob)


def test_a_record_is_read_back() -> None:
    record = encode_record("stock", product("p:1"), 2, 7, 1_000, b'{"days":3}')
    assert decode_record(record) == ("stock", product("p:1"), Snapshot(2, 7, 1_000, {"days": 3}))


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b'{"snapshot":"stock","subject":"p1"}'])
def test_what_is_no_record_is_said_to_be_none(record: bytes) -> None:
    with pytest.raises(InvalidSnapshot, match="the record is not a snapshot"):
        decode_record(record)
