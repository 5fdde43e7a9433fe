"""What the lane's fetcher gives out has all that the stream reads, and nothing is made beside it."""

import inspect
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from stream.consumer.parsed_records import Fetched

TP = TopicPartition("view", 0)


def fetched_batch() -> FetchResult:
    """A batch of two records as it comes from Kafka."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10_000,
    )  # fmt: skip
    for offset in range(2):
        builder.append(
            offset, timestamp=1_000 + offset, key=b"u1", value=b"v%d" % offset, headers=[("h", b"x")]
        )
    records = MemoryRecords(bytes(builder.build()))
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


def test_aiokafka_makes_its_records_where_we_say() -> None:
    assert "self._consumer_record(tp, record)" in inspect.getsource(PartitionRecords._unpack_records)
    assert "self._records_iterator = self._unpack_records()" in inspect.getsource(PartitionRecords.__init__)
    assert "for msg in self._partition_records:" in inspect.getsource(FetchResult.getall)
    assert "self._records = collections.OrderedDict()" in inspect.getsource(Fetcher.__init__)
    assert "self._records[tp] = FetchResult(" in inspect.getsource(Fetcher._proc_fetch_request)
