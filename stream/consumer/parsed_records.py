"""Records as aiokafka's parser leaves them, without the object of eleven fields it makes of each."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer.fetcher import FetchResult


class Fetched(OrderedDict[Any, Any]):
    """What a fetcher has fetched, by topic partition, that gives out the parser's own records.

    These have offset, timestamp, its type, key and value, which is all that the stream reads; making the
    others of them takes a tenth of a worker's time in a backlog.
    """

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
        self._iterator: Iterator[Any] = records._records_iterator  # one call less per record than `records`

    def __iter__(self) -> Iterator[Any]:
        return self._iterator

    @property
    def next_fetch_offset(self) -> int:
        """Behind the last record given out."""
        offset: int = self._records.next_fetch_offset
        return offset


def _as_it_is(_: Any, record: Any) -> Any:
    return record
