"""Records as aiokafka's parser leaves them, without the object of eleven fields it makes of each.

A batch that cannot be read, because its codec is unknown or its bytes are damaged, becomes as many
`UnreadableRecord`s as it has offsets: aiokafka's own iterator raises and is of no use from then on.

Packed batches can hold much more than was fetched, so a fetch ends where enough was unpacked; the rest is
fetched again.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer.fetcher import FetchResult

from stream.batch.records import UnreadableRecord
from stream.consumer.unpacking import bound_unpacking, unpacked_bytes

log = logging.getLogger(__name__)

ENOUGH_BYTES = 16 << 20
"""Unpacked of one partition, no further batch of the same fetch is begun."""


class Fetched(OrderedDict[Any, Any]):
    """What a fetcher has fetched, by topic partition, that gives out the parser's own records.

    These have offset, timestamp, its type, key, value and headers, which is all that the stream reads; making
    the others of them takes a tenth of a worker's time in a backlog.
    """

    def __init__(self, *found: Any) -> None:
        bound_unpacking()
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
                batch = self._batches.newest
                if batch is None:
                    raise
                yield from self._unreadable(batch, exc)

    def _unreadable(self, batch: Any, exc: Exception) -> Iterator[UnreadableRecord]:
        records = self._records
        first, end = records.next_fetch_offset, batch.next_offset
        reason = f"the batch with offsets {first} to {end - 1} cannot be read: {exc or type(exc).__name__}"
        log.error("%s[%d]: %s", *records._tp, reason)
        for offset in range(first, end):
            records.next_fetch_offset = offset + 1
            yield UnreadableRecord(offset, max(0, batch.max_timestamp), batch.timestamp_type, reason)


class _Batches:
    """The batches of a fetch, with the newest of them at hand."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._began = unpacked_bytes()
        self.newest: Any = None

    def has_next(self) -> bool:
        """Whether there is a next batch, and room for it."""
        return unpacked_bytes() - self._began < ENOUGH_BYTES and bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """The next batch; raises `CorruptRecordException`."""
        self.newest = None
        self.newest = self._batches.next_batch()
        return self.newest


def _as_it_is(_: Any, record: Any) -> Any:
    return record
