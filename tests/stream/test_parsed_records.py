"""The fetcher gives out all that the stream reads, makes nothing beside it, and stops at no damaged batch."""

import inspect
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c_py

from contracts.dead_letters import DeadLetter
from cores import NAMES, core_named
from stream.batch.records import UnreadableRecord
from stream.consumer.parsed_records import ENOUGH_BYTES, Fetched
from stream.consumer.unpacking import MAX_UNPACKED_BYTES

TP = TopicPartition("view", 0)


def batch(first: int = 0, *, codec: int = 0) -> bytearray:
    """A batch of two records as it comes from Kafka, the first of them at an offset."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=10_000,
    )  # fmt: skip
    for offset in range(2):
        builder.append(
            offset, timestamp=1_000 + offset, key=b"u1", value=b"v%d" % offset, headers=[("h", b"x" * 100)]
        )
    built: bytearray = builder.build()
    built[:8] = first.to_bytes(8, "big")
    return built


def fetched_batch(*batches: bytes | bytearray) -> FetchResult:
    """One fetch of these batches."""
    records = MemoryRecords(b"".join(batches or [batch()]))
    found = PartitionRecords(TP, records, [], 0, None, None, True, 0)
    return FetchResult(TP, assignment=None, partition_records=found, backoff=0)


def test_records_come_as_they_were_parsed_with_what_the_stream_reads() -> None:
    fetched = Fetched()
    fetched[TP] = fetched_batch()
    found: list[Any] = list(fetched[TP]._partition_records)
    assert [(r.offset, r.timestamp, r.key, r.value) for r in found] == [
        (0, 1_000, b"u1", b"v0"),
        (1, 1_001, b"u1", b"v1"),
    ]
    assert {type(r.value) for r in found} == {bytes}
    assert type(found[0]).__name__ == "DefaultRecord"


def test_records_taken_in_parts_go_on_where_the_last_part_ended() -> None:
    fetched = Fetched()
    fetched[TP] = fetched_batch()
    records = fetched[TP]._partition_records
    found: list[int] = []
    for _ in range(2):
        for record in records:
            found.append(record.offset)
            break
        assert records.next_fetch_offset == record.offset + 1
    assert found == [0, 1]
    assert list(records) == []


def test_errors_and_what_was_there_before_are_kept() -> None:
    error = FetchError(error=ValueError("x"), backoff=0)
    assert Fetched({TP: error})[TP] is error


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_every_codec_of_kafka_is_read(codec: int) -> None:
    fetched = Fetched()
    fetched[TP] = fetched_batch(batch(codec=codec))
    assert [record.value for record in fetched[TP]._partition_records] == [b"v0", b"v1"]


@pytest.mark.parametrize("harm", ["checksum", "payload", "codec"])
def test_a_batch_that_cannot_be_read_leaves_its_places_and_the_next_goes_on(harm: str) -> None:
    damaged = batch(2, codec=4)
    if harm == "codec":
        damaged[22] |= 7  # attributes: a codec that does not exist
    else:
        damaged[-5] ^= 0xFF
    if harm != "checksum":
        damaged[17:21] = calc_crc32c_py(bytes(damaged[21:])).to_bytes(4, "big")
    fetched = Fetched()
    fetched[TP] = fetched_batch(bytes(batch()), bytes(damaged), bytes(batch(4)))
    records = fetched[TP]._partition_records
    found = list(records)
    assert [record.offset for record in found] == [0, 1, 2, 3, 4, 5]
    lost = [record for record in found if type(record) is UnreadableRecord]
    assert [record.offset for record in lost] == [2, 3]
    assert lost[0].timestamp == 1_001
    assert "the batch with offsets 2 to 3 cannot be read" in lost[0].reason
    assert records.next_fetch_offset == 6


@pytest.mark.parametrize("codec", [1, 3, 4])
def test_a_batch_that_would_take_all_memory_is_not_unpacked(codec: int) -> None:
    fetched = Fetched()
    fetched[TP] = fetched_batch(bytes(large_batch(MAX_UNPACKED_BYTES // 2, 3, codec)), bytes(batch(3)))
    found = list(fetched[TP]._partition_records)
    assert [record.offset for record in found] == [0, 1, 2, 3, 4]
    assert all("holds more than 64 MiB when unpacked" in record.reason for record in found[:3])
    assert [record.value for record in found[3:]] == [b"v0", b"v1"]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_fetch_ends_where_enough_was_unpacked(codec: int) -> None:
    batches = [bytes(large_batch(ENOUGH_BYTES // 4, 2, codec, first=first)) for first in (0, 2, 4, 6)]
    fetched = Fetched()
    fetched[TP] = fetched_batch(*batches)
    records = fetched[TP]._partition_records
    assert [record.offset for record in records] == [0, 1, 2, 3]
    assert records.next_fetch_offset == 4


def large_batch(size: int, count: int, codec: int, *, first: int = 0) -> bytearray:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=2 * size * count,
    )  # fmt: skip
    for offset in range(count):
        builder.append(offset, timestamp=1_000, key=b"u1", value=b"x" * size, headers=[])
    built: bytearray = builder.build()
    built[:8] = first.to_bytes(8, "big")
    return built


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_read_becomes_a_dead_letter(name: str) -> None:
    record = UnreadableRecord(7, 1_000, 0, "the batch with offsets 7 to 7 cannot be read: damaged")
    [entry] = core_named(name).read_records(
        [record], topic="view", partition=0, partitions=1, default_currency="EUR", now_ms=5
    )
    assert isinstance(entry.letter, DeadLetter)
    assert (entry.offset, entry.letter.code, entry.letter.offset) == (7, "record.unreadable", 7)
    assert entry.letter.detail == record.reason


def test_aiokafka_makes_its_records_where_we_say() -> None:
    assert "self._consumer_record(tp, record)" in inspect.getsource(PartitionRecords._unpack_records)
    assert "self.next_fetch_offset = record.offset + 1" in inspect.getsource(PartitionRecords._unpack_records)
    assert "for msg in self._partition_records:" in inspect.getsource(FetchResult.getall)
    assert "self._records = collections.OrderedDict()" in inspect.getsource(Fetcher.__init__)
    assert "self._records[tp] = FetchResult(" in inspect.getsource(Fetcher._proc_fetch_request)
