"""The fetcher gives out all that the stream reads, makes nothing beside it, and stops at no damaged batch."""

import inspect
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c_py

from contracts.dead_letters import DeadLetter
from cores import NAMES, core_named
from stream.batch.records import UnreadableRecord
from stream.consumer.parsed_records import ENOUGH_BYTES, Fetched
from stream.consumer.unpacking import MAX_UNPACKED_BYTES

TP = TopicPartition("view", 0)


def builder_of(codec: int, size: int = 10_000) -> DefaultRecordBatchBuilder:
    return DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=size,
    )  # fmt: skip


def batch(first: int = 0, *, codec: int = 0) -> bytearray:
    """A batch of two records as it comes from Kafka, the first of them at an offset."""
    builder = builder_of(codec)
    for offset in range(2):
        builder.append(
            offset, timestamp=1_000 + offset, key=b"u1", value=b"v%d" % offset, headers=[("h", b"x" * 100)]
        )
    built: bytearray = builder.build()
    built[:8] = first.to_bytes(8, "big")
    return built


def fetched_batch(*batches: bytes | bytearray, first: int = 0) -> FetchResult:
    """One fetch of these batches, from an offset on."""
    records = fetcher.MemoryRecords(b"".join(batches or [batch()]))
    found = PartitionRecords(TP, records, [], first, None, None, True, 0)
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


def legacy_batch(version: int, codec: int, first: int = 0) -> bytearray:
    """Two records as Kafka before 0.11 wrote them."""
    builder = LegacyRecordBatchBuilder(magic=version, compression_type=codec, batch_size=10_000)
    for offset in range(first, first + 2):
        builder.append(offset, timestamp=1_000, key=b"u1", value=b"v%d" % offset)
    built: bytearray = builder.build()
    return built


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("codec", [0, 1, 2])
def test_batches_of_several_versions_may_come_in_one_fetch(version: int, codec: int) -> None:
    fetched = Fetched()
    fetched[TP] = fetched_batch(
        batch(0), legacy_batch(version, codec, 2), batch(4), legacy_batch(version, 0, 6)
    )
    found = list(fetched[TP]._partition_records)
    assert [record.offset for record in found] == list(range(8))
    assert {record.value[:1] for record in found} == {b"v"}
    assert found[2].timestamp == (1_000 if version else -1)


@pytest.mark.parametrize("version", [0, 1])
def test_a_batch_of_an_earlier_version_that_cannot_be_read_stops_nothing(version: int) -> None:
    damaged = legacy_batch(version, 1)
    damaged[-20] ^= 0xFF
    fetched = Fetched()
    fetched[TP] = fetched_batch(damaged, batch(2))
    first, *others = list(fetched[TP]._partition_records)
    assert isinstance(first, UnreadableRecord)
    assert (first.offset, first.timestamp) == (0, 0)
    assert [record.value for record in others] == [b"v0", b"v1"]


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


LAST_OFFSET_DELTA, COUNT = slice(23, 27), slice(57, 61)


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize(
    ("places", "number"),
    [
        ((LAST_OFFSET_DELTA,), 2**31 - 1),
        ((LAST_OFFSET_DELTA,), -5),
        ((LAST_OFFSET_DELTA,), 70_000),
        ((COUNT,), 2**31 - 1),
        ((COUNT,), 0),
    ],
)
def test_a_damaged_number_of_records_loses_no_more_than_its_batch(
    places: tuple[slice, ...], number: int, follows: bool
) -> None:
    damaged = batch(2)
    for place in places:
        damaged[place] = number.to_bytes(4, "big", signed=True)
    fetched = Fetched()
    fetched[TP] = fetched_batch(batch(), damaged, *[batch(4)] * follows)
    records = fetched[TP]._partition_records
    found = list(records)
    assert [record.offset for record in found] == [0, 1, 2, 3, 4, 5][: 6 if follows else 4]
    assert [record.offset for record in found if type(record) is UnreadableRecord] == [2, 3]
    assert records.next_fetch_offset == found[-1].offset + 1


def test_where_both_numbers_are_damaged_one_offset_after_the_other_is_passed() -> None:
    damaged = batch(2)
    damaged[LAST_OFFSET_DELTA] = damaged[COUNT] = (2**31 - 1).to_bytes(4, "big")
    fetched = Fetched()
    fetched[TP] = fetched_batch(batch(), damaged)
    records = fetched[TP]._partition_records
    assert [record.offset for record in records] == [0, 1, 2]
    assert records.next_fetch_offset == 3


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("length", [-(2**31), -12, 0, 13, 48, 60, 280, 282, 300, 70_000, 2**31 - 1])
def test_a_damaged_length_of_a_batch_costs_no_record(length: int, follows: bool) -> None:
    good, damaged, next_one = batch(), batch(2), batch(4)
    damaged[8:12] = length.to_bytes(4, "big", signed=True)
    assert found_in(good, damaged, next_one)[:2] == [(0, b"v0"), (1, b"v1")]
    assert found_in(damaged, *[next_one] * follows, first=2) == [
        (offset, b"v%d" % (offset % 2)) for offset in ((2, 3, 4, 5) if follows else (2, 3))
    ]


def test_a_damaged_length_of_a_damaged_batch_costs_no_other_record() -> None:
    damaged = batch(2)
    damaged[8:12], damaged[-5] = b"\xff" * 4, damaged[-5] ^ 0xFF
    assert found_in(damaged, batch(4), first=2) == [(2, None), (3, None), (4, b"v0"), (5, b"v1")]


@pytest.mark.parametrize("size", [1, 12, 16, 20])
def test_a_fetch_of_less_than_a_batch_is_one_record_that_cannot_be_read(size: int) -> None:
    assert found_in(batch()[:size]) == [(0, None)]


def found_in(*batches: bytearray, first: int = 0) -> list[tuple[int, bytes | None]]:
    """Offset and value of all that is in one fetch, from an offset on."""
    fetched = Fetched()
    fetched[TP] = fetched_batch(*batches, first=first)
    return [(record.offset, record.value) for record in fetched[TP]._partition_records]


def test_a_batch_of_very_many_becomes_one_letter_that_names_them() -> None:
    damaged = batch(2)
    damaged[LAST_OFFSET_DELTA], damaged[COUNT] = (n.to_bytes(4, "big") for n in (199_999, 200_000))
    fetched = Fetched()
    fetched[TP] = fetched_batch(batch(), damaged, batch(200_002))
    records = fetched[TP]._partition_records
    _, _, first, *rest = records
    assert (first.offset, [record.offset for record in rest]) == (2, [200_002, 200_003])
    assert "the batch with offsets 2 to 200001 cannot be read" in first.reason


@pytest.mark.parametrize("codec", range(5))
def test_a_header_whose_name_is_no_text_costs_no_record(codec: int) -> None:
    builder = builder_of(codec)
    for offset, name in enumerate(("fine", "@@@@", "fine")):
        builder.append(offset, timestamp=1_000 + offset, key=b"u1", value=b"v%d" % offset,
                       headers=[(name, b"x"), ("client_id", None)])  # fmt: skip
    good = bytes(builder.build())
    plain = bytes(parsed_py(good))
    found = read_back(good, plain.replace(b"@@@@", b"\xff\xfe@@"), codec)
    assert [(r.offset, r.timestamp, r.key, r.value) for r in found] == [
        (n, 1_000 + n, b"u1", b"v%d" % n) for n in range(3)
    ]
    assert [header[0] for header in found[1].headers] == ["\ufffd\ufffd@@", "client_id"]
    assert found[1].headers[1][1] is None


def test_a_record_that_is_none_costs_no_other() -> None:
    good = bytes(batch())
    plain = bytearray(parsed_py(good))
    at = plain.index(b"v0") - 1  # how long the value is
    plain[at] = 0x7E
    found = read_back(good, bytes(plain), 0)
    assert [(record.offset, record.value) for record in found] == [(0, None), (1, b"v1")]
    assert type(found[0]) is UnreadableRecord
    assert "a record of its batch cannot be read" in found[0].reason


def parsed_py(raw: bytes) -> bytes:
    """The records of a batch, unpacked."""
    parsed = _DefaultRecordBatchPy(raw)
    parsed._maybe_uncompress()
    return bytes(parsed._buffer[parsed._pos :])


def read_back(good: bytes, records: bytes, codec: int) -> list[Any]:
    """What is read of a batch like a good one, with other records in it and a checksum that is right."""
    packed = PACKERS[codec](records)
    changed = bytearray(good[:61] + packed)
    changed[8:12] = (len(changed) - 12).to_bytes(4, "big")
    changed[17:21] = calc_crc32c_py(bytes(changed[21:])).to_bytes(4, "big")
    fetched = Fetched()
    fetched[TP] = fetched_batch(changed)
    return list(fetched[TP]._partition_records)


PACKERS = (bytes, gzip_encode, snappy_encode, lz4_encode, zstd_encode)


@pytest.mark.parametrize("codec", [1, 3, 4])
def test_a_batch_that_would_take_all_memory_is_not_unpacked(codec: int) -> None:
    fetched = Fetched()
    fetched[TP] = fetched_batch(bytes(large_batch(MAX_UNPACKED_BYTES // 2, 3, codec)), bytes(batch(3)))
    found = list(fetched[TP]._partition_records)
    assert [record.offset for record in found] == [0, 1, 2, 3, 4]
    assert all("is larger than 64 MiB when unpacked" in record.reason for record in found[:3])
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
    builder = builder_of(codec, 2 * size * count)
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
