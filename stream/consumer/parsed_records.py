"""Records as aiokafka's parser leaves them, without the object of eleven fields it makes of each.

Where aiokafka's own iterator raises it is of no use from then on. If the bytes of the batch are as they were
sent, its records are read one by one, and only those that are none become `UnreadableRecord`s: names of
headers, for one, need not be text. If its codec is unknown or its bytes are damaged, all become so.

Packed batches can hold much more than was fetched, so a fetch ends where enough was unpacked; the rest is
fetched again.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer.fetcher import FetchResult

from stream.batch.records import UnreadableRecord
from stream.consumer.raw_batches import (
    BadRecord,
    KeptRecords,
    RawBatch,
    RawRecord,
    batch_at,
    keep_raw_batches,
    records_in,
)
from stream.consumer.unpacking import bound_unpacking, unpacked_bytes

log = logging.getLogger(__name__)

MAX_LETTERS = 10_000
"""A batch that cannot be read and has more offsets than that becomes one record that names them all."""
ENOUGH_BYTES = 16 << 20
"""Unpacked of one partition, no further batch of the same fetch is begun."""


class Fetched(OrderedDict[Any, Any]):
    """What a fetcher has fetched, by topic partition, that gives out the parser's own records.

    These have offset, timestamp, its type, key, value and headers, which is all that the stream reads; making
    the others of them takes a tenth of a worker's time in a backlog.
    """

    def __init__(self, *found: Any) -> None:
        bound_unpacking()
        keep_raw_batches()
        super().__init__(*found)

    def __setitem__(self, tp: Any, result: Any) -> None:
        """Take a result, or the error there is instead."""
        if type(result) is FetchResult:
            result._partition_records = _ParsedRecords(result._partition_records)
        super().__setitem__(tp, result)


class _ParsedRecords:
    """The records of a fetch of one topic partition; iterating again goes on where the last time stopped."""

    def __init__(self, records: Any) -> None:
        records._consumer_record = _as_it_is
        self._records = records
        self._batches = records._records = _Batches(records._records)
        self._iterator = self._read()

    def __iter__(self) -> Iterator[Any]:
        return self._iterator

    @property
    def next_fetch_offset(self) -> int:
        """Behind the last record given out."""
        offset: int = self._records.next_fetch_offset
        return offset

    def _read(self) -> Iterator[Any]:
        records = self._records
        while True:
            try:
                yield from records._unpack_records()
                return
            except Exception as exc:  # whatever a codec makes of bytes
                batch, raw = self._batches.newest, self._batches.raw
                if batch is None or raw is None:
                    raise
                try:
                    yield from self._read_singly(raw, batch)
                except Exception:  # nothing of it can be relied on
                    yield from self._unreadable(raw, batch, exc)

    def _read_singly(self, raw: RawBatch, batch: Any) -> Iterator[RawRecord | UnreadableRecord]:
        first = self._records.next_fetch_offset
        for record in records_in(raw):
            if record.offset < self._records.next_fetch_offset:
                continue
            self._records.next_fetch_offset = record.offset + 1
            if isinstance(record, BadRecord):
                log.error("%s[%d]@%d: %s", *self._records._tp, record.offset, record.reason)
                yield _unreadable(record.offset, batch, record.reason)
            else:
                yield record
        last = self._records.next_fetch_offset - 1
        self._records.next_fetch_offset = raw.end_behind(max(first, last))

    def _unreadable(self, raw: RawBatch, batch: Any, exc: Exception) -> Iterator[UnreadableRecord]:
        records = self._records
        first = records.next_fetch_offset
        end = raw.end_behind(first)
        reason = f"the batch with offsets {first} to {end - 1} cannot be read: {exc or type(exc).__name__}"
        log.error("%s[%d]: %s", *records._tp, reason)
        if end - first > MAX_LETTERS:
            records.next_fetch_offset = end
            yield _unreadable(first, batch, reason)
            return
        for offset in range(first, end):
            records.next_fetch_offset = offset + 1
            yield _unreadable(offset, batch, reason)


class _Batches:
    """The batches of a fetch, with the newest of them at hand, and its bytes."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._began = unpacked_bytes()
        self._at = 0
        self._version: int | None = None
        self.newest: Any = None
        self.raw: RawBatch | None = None

    def has_next(self) -> bool:
        """Whether there is a next batch, and room for it."""
        return unpacked_bytes() - self._began < ENOUGH_BYTES and bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """The next batch; raises `CorruptRecordException`."""
        self.newest = self.raw = None
        raw = batch_at(self._batches.raw, self._at)
        if self._version not in (None, raw.version):
            # aiokafka's parser in C takes all batches of a fetch for those of the first one's version
            self._batches, self._at = KeptRecords(self._batches.raw[self._at :]), 0
        self._version = raw.version
        self.newest = self._batches.next_batch()
        self.raw = raw
        self._at += len(self.raw.raw)
        return self.newest


def _unreadable(offset: int, batch: Any, reason: str) -> UnreadableRecord:
    newest_ms = getattr(batch, "max_timestamp", 0)  # those of the versions 0 and 1 have none
    return UnreadableRecord(offset, max(0, newest_ms), getattr(batch, "timestamp_type", 0) or 0, reason)


def _as_it_is(_: Any, record: Any) -> Any:
    if record.timestamp is None:  # version 0 has no times
        return RawRecord(record.offset, -1, 0, record.key, record.value, ())
    return record
